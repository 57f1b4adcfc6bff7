#!/usr/bin/env bash
# A disk whose power can be cut: an ext4 image inside an XFS image that knows
# reflinks. `cut` copies the ext4 image as it is at one instant, without what the
# page cache has not written yet, and mounts the copy: the journal is replayed as
# after a power cut. Needs root, loop devices, xfsprogs and e2fsprogs.
#
#   powercut.sh up FOLDER      makes FOLDER/disk, the disk to write to
#   powercut.sh cut FOLDER     makes FOLDER/after, the disk after a power cut
#   powercut.sh mend FOLDER    takes FOLDER/after away
#   powercut.sh down FOLDER    takes everything away
set -euo pipefail
cmd=$1 rig=$2
mend() {
  if mountpoint -q "$rig/after"; then umount "$rig/after"; fi
  if [ -s "$rig/after.loop" ]; then losetup -d "$(cat "$rig/after.loop")"; fi
  rm -f "$rig/after.loop" "$rig/outer/snap.img"
}
case $cmd in
  up)
    mkdir -p "$rig/outer" "$rig/disk" "$rig/after"
    truncate -s 3G "$rig/outer.img"
    mkfs.xfs -q -m reflink=1 "$rig/outer.img"
    mount -o loop "$rig/outer.img" "$rig/outer"
    truncate -s 1G "$rig/outer/inner.img"
    mkfs.ext4 -q -F "$rig/outer/inner.img"
    mount -o loop "$rig/outer/inner.img" "$rig/disk"
    ;;
  cut)
    cp --reflink=always "$rig/outer/inner.img" "$rig/outer/snap.img"
    losetup -f --show "$rig/outer/snap.img" > "$rig/after.loop"
    mount "$(cat "$rig/after.loop")" "$rig/after"
    ;;
  mend) mend ;;
  down)
    mend
    for dir in disk outer; do
      if mountpoint -q "$rig/$dir"; then umount "$rig/$dir"; fi
    done
    ;;
esac
