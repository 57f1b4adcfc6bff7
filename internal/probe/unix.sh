#!/bin/sh
# What shenscan asks a Linux or FreeBSD machine. It reads and prints; it writes,
# changes, installs and contacts nothing: no file is made, not even a temporary
# one (here-documents and the distributions' own listers of an initramfs make
# some). It runs under dash, ash and bash 3, as any user, and says "unread" of
# whatever it could not look at.
exec 2>/dev/null
R=
PATH=/sbin:/usr/sbin:/bin:/usr/bin
LC_ALL=C
export PATH LC_ALL
lines=0

# say KEY VALUE prints one line: printable ASCII, 300 bytes at most.
say() {
  printf '%s=%s\n' "$1" "$(printf '%s' "$2" | tr '\t\n' '  ' | tr -cd ' -~' | cut -c1-300)"
  lines=$((lines + 1))
}

# first FILE prints its first line.
first() { [ -r "$1" ] && head -n 1 "$1" | cut -c1-300; }

# bytes FILE OFFSET COUNT prints bytes in hex, without spaces.
bytes() { tail -c "+$(($2 + 1))" "$1" | od -An -v -tx1 -N "$3" | tr -d ' \n'; }

# next FILE OFFSET prints where the next archive begins: behind a padding of
# zeros, of 4 KiB at most.
next() {
  hex=$(bytes "$1" "$2" 4096)
  rest=$(printf '%s' "$hex" | sed 's/^\(00\)*//')
  [ -n "$rest" ] && printf '%s' "$(($2 + (${#hex} - ${#rest}) / 2))"
}

# unpack COMMAND FILE OFFSET lists a compressed archive.
unpack() {
  command -v "${1%% *}" >/dev/null || return 1
  tail -c "+$(($3 + 1))" "$2" | $1 | cpio -t && printf '%s\n' ./whole.listing
}

# list FILE prints the names in an initramfs, and "./whole.listing" behind the
# last of its archives. Archives that are not compressed stand before the one
# that is; each ends with an entry TRAILER!!!, which only counts where another
# archive or nothing follows.
list() {
  command -v cpio >/dev/null && command -v od >/dev/null || return 1
  marks=$(grep -abo 'TRAILER!!!' "$1" | cut -d: -f1 | head -n 64)
  at=0
  round=0
  while [ "$round" -lt 8 ]; do
    round=$((round + 1))
    case $(bytes "$1" "$at" 6) in
    1f8b*) unpack 'gzip -dc' "$1" "$at"; return ;;
    fd377a585a00) unpack 'xz -dc' "$1" "$at"; return ;;
    28b52ffd*) unpack 'zstd -dcq' "$1" "$at"; return ;;
    02214c18* | 04224d18*) unpack 'lz4 -dcq' "$1" "$at"; return ;;
    425a68*) unpack 'bzip2 -dc' "$1" "$at"; return ;;
    5d0000*) unpack 'xz --format=lzma -dc' "$1" "$at"; return ;;
    894c5a4f*) unpack 'lzop -dc' "$1" "$at"; return ;;
    303730373031 | 303730373032) ;;
    *) return 1 ;;
    esac
    tail -c "+$((at + 1))" "$1" | cpio -t || return 1
    follows=
    for mark in $marks; do
      [ "$mark" -gt "$at" ] || continue
      begin=$(next "$1" "$((mark + 11))")
      if [ -z "$begin" ]; then
        [ "$(bytes "$1" "$((mark + 4096))" 1)" = "" ] || continue
        printf '%s\n' ./whole.listing
        return
      fi
      case $(bytes "$1" "$begin" 6) in
      1f8b* | fd377a585a00 | 28b52ffd* | 02214c18* | 04224d18* | 425a68* | 5d0000* | 894c5a4f* | 303730373031 | 303730373032)
        follows=$begin
        break
        ;;
      esac
    done
    [ -n "$follows" ] || return 1
    at=$follows
  done
  return 1
}

# default_kernel prints the release of the kernel that the boot loader starts
# when nobody chooses, and nothing where that cannot be told.
default_kernel() {
  saved=
  for f in "$R/boot/grub2/grubenv" "$R/boot/grub/grubenv"; do
    [ -r "$f" ] || continue
    [ -z "$(sed -n 's/^next_entry=//p' "$f")" ] || return
    saved=$(sed -n 's/^saved_entry=//p' "$f" | head -n 1)
    break
  done
  image=
  if [ -d "$R/boot/loader/entries" ]; then
    [ -n "$saved" ] && [ -r "$R/boot/loader/entries/$saved.conf" ] || return
    image=$(sed -n 's/^linux[[:space:]][[:space:]]*//p' "$R/boot/loader/entries/$saved.conf" | head -n 1)
  elif [ -r "$R/boot/grub2/grub.cfg" ] || [ -r "$R/boot/grub/grub.cfg" ]; then
    f=$R/boot/grub2/grub.cfg
    [ -r "$f" ] || f=$R/boot/grub/grub.cfg
    want=$(sed -n '/^[[:space:]]*menuentry/q
      s/^[[:space:]]*set default="\{0,1\}\([^"]*\)"\{0,1\}[[:space:]]*$/\1/p' "$f" | tail -n 1)
    # shellcheck disable=SC2016 # the boot loader's variable, not this shell's
    [ "$want" = '${saved_entry}' ] && want=${saved:-0}
    image=$(awk -v want="$want" '
      /^[ \t]*menuentry[ \t]/ {
        n++
        title = $0; sub(/^[ \t]*menuentry[ \t]+/, "", title)
        q = substr(title, 1, 1); title = substr(title, 2); i = index(title, q)
        title = substr(title, 1, i - 1)
        inside = (want == "0" && n == 1) || want == title
      }
      inside && /^[ \t]*linux(16|efi)?[ \t]/ { print $2; exit }' "$f")
  elif [ -r "$R/boot/grub/grub.conf" ] || [ -r "$R/boot/grub/menu.lst" ]; then
    f=$R/boot/grub/grub.conf
    [ -r "$f" ] || f=$R/boot/grub/menu.lst
    image=$(awk '
      /^[ \t]*default[ =\t]/ { want = $0; sub(/^[ \t]*default[ =\t]+/, "", want) }
      /^[ \t]*title[ \t]/ { n++ }
      /^[ \t]*kernel[ \t]/ && n == want + 1 && want ~ /^[0-9]+[ \t]*$/ { for (i = 2; i <= NF; i++) if ($i !~ /^[-(]/ || $i ~ /vmlinuz/) { print $i; exit } }' "$f")
  fi
  case $image in
  *vmlinuz-*) printf '%s' "${image##*vmlinuz-}" ;;
  esac
}

# drivers NUMBER RELEASE says of one kernel which drivers it can load at boot.
drivers() {
  say "kernel.$1" "$2"
  modules=$R/lib/modules/$2
  [ -d "$modules" ] || modules=$R/usr/lib/modules/$2
  config=
  if [ -r "$R/boot/config-$2" ]; then
    config=$(cat "$R/boot/config-$2")
  elif [ "$2" = "$running" ] && [ -r "$R/proc/config.gz" ]; then
    config=$(gzip -dc "$R/proc/config.gz")
  fi
  image=
  for f in "$R/boot/initramfs-$2.img" "$R/boot/initrd-$2.img" "$R/boot/initrd.img-$2" "$R/boot/initrd-$2"; do
    if [ -f "$f" ]; then
      image=$f
      break
    fi
  done
  names=
  [ -n "$image" ] && [ -r "$image" ] && names=$(list "$image")
  whole=no
  case $names in
  *./whole.listing*) whole=yes ;;
  esac
  say "kernel.$1.initramfs" "$([ "$whole" = yes ] && printf read || { [ -n "$image" ] && printf unread || printf none; })"
  for driver in virtio:VIRTIO virtio_ring:VIRTIO_RING virtio_pci:VIRTIO_PCI virtio_blk:VIRTIO_BLK nvme:BLK_DEV_NVME nvme_core:NVME_CORE; do
    name=${driver%%:*}
    file=$(printf '%s' "$name" | sed 's/_/[-_]/g')
    state=unread
    there=$(find "$modules/" -name "$name.ko*" -o -name "$(printf '%s' "$name" | tr _ -).ko*" | head -n 1)
    if printf '%s\n' "$config" | grep -q "^CONFIG_${driver#*:}=y" || grep -q "/$file\.ko" "$modules/modules.builtin"; then
      state=builtin
    elif [ "$whole" = yes ] && printf '%s\n' "$names" | grep -Eq "(^|/)$file\.ko(\.(gz|xz|zst|bz2))?\$"; then
      state=initramfs
    elif [ -n "$there" ] && [ "$whole" = yes ]; then
      state=module
    elif [ -z "$there" ] && [ -d "$modules" ] && { [ -n "$config" ] || [ -r "$modules/modules.builtin" ]; }; then
      state=absent
    fi
    say "kernel.$1.$name" "$state"
  done
}

printf '%s\n' 'shenscan-probe 1 unix'
system=$(uname -s)
running=$(uname -r)
say system "$system"
say kernel "$running"
say machine "$(uname -m)"
for f in alinux-release anolis-release openEuler-release kylin-release oracle-release centos-release redhat-release SuSE-release debian_version gentoo-release; do
  [ -r "$R/etc/$f" ] && say "release.$f" "$(first "$R/etc/$f")"
done
[ -r "$R/etc/SuSE-release" ] && say release.patchlevel "$(sed -n 's/^PATCHLEVEL[[:space:]]*=[[:space:]]*//p' "$R/etc/SuSE-release" | head -n 1)"
[ -r "$R/etc/lsb-release" ] && say release.lsb "$(sed -n 's/^DISTRIB_DESCRIPTION=//p' "$R/etc/lsb-release" | tr -d \" | head -n 1)"
if [ -r "$R/etc/os-release" ]; then
  for k in ID VERSION_ID PRETTY_NAME; do
    say "os.$k" "$(sed -n "s/^$k=//p" "$R/etc/os-release" | tr -d "\"'" | head -n 1)"
  done
fi
if [ "$system" = FreeBSD ]; then
  say freebsd "$(freebsd-version)"
  if [ -r "$R/boot/loader.conf" ]; then
    say maxphys "$(sed -n 's/^[[:space:]]*kern\.maxphys="\{0,1\}\([0-9]*\).*/\1/p' "$R/boot/loader.conf" | tail -n 1)"
  else
    say maxphys unread
  fi
else
  default=$(default_kernel)
  say default "$default"
  n=1
  for f in "$R"/boot/vmlinuz-*; do
    [ -f "$f" ] || continue
    release=${f##*/vmlinuz-}
    case $release in
    *rescue* | *kdump) continue ;;
    esac
    [ -z "$default" ] || [ "$default" = "$release" ] || continue
    [ "$n" -le 5 ] && drivers "$n" "$release"
    n=$((n + 1))
  done
  say kernels "$((n - 1))"
fi
# Lines that name a disk as the kernel numbers it, comments apart.
if [ -r "$R/etc/fstab" ]; then
  say fstab "$(grep -cE '^[[:space:]]*/dev/(xvd|vd|sd|hd|nvme|ada|da|vtbd|nda|nvd)[a-z0-9]' "$R/etc/fstab")"
else
  say fstab unread
fi
n=
for f in boot/grub/grub.conf boot/grub/menu.lst boot/grub2/grub.cfg boot/grub/grub.cfg boot/grub2/grubenv boot/grub/grubenv etc/default/grub; do
  if [ -f "$R/$f" ]; then
    [ -r "$R/$f" ] || { n=unread; break; }
    n=$((${n:-0} + $(grep -v '^[[:space:]]*#' "$R/$f" | grep -cE 'root=/dev/(xvd|vd|sd|hd|nvme)[a-z0-9]')))
  fi
done
if [ "$n" != unread ] && [ -d "$R/boot/loader/entries" ]; then
  n=$((${n:-0} + $(cat "$R"/boot/loader/entries/*.conf | grep -v '^#' | grep -cE 'root=/dev/(xvd|vd|sd|hd|nvme)[a-z0-9]')))
fi
say bootloader "${n:-unread}"
printf 'end=%s\n' "$lines"
exit 0
