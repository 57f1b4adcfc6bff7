# What shenscan asks a Windows machine, PowerShell 2 and later. It reads and
# prints; it writes, changes, installs and contacts nothing, and never runs SFC.
# It says "unread" of whatever it could not look at.
$ErrorActionPreference = 'SilentlyContinue'
$script:lines = 0

function Say($key, $value) {
  $text = ([string]$value) -replace '[^\x20-\x7e]', '?'
  if ($text.Length -gt 300) { $text = $text.Substring(0, 300) }
  $script:lines = $script:lines + 1
  Write-Output ($key + '=' + $text)
}

$services = 'HKLM:\SYSTEM\CurrentControlSet\Services'

# Driver says when Windows loads a driver: Start, the largest value under
# StartOverride, which wins over it, and whether its file is there.
function Driver($name) {
  $key = $services + '\' + $name
  if (-not (Test-Path $services)) {
    Say ($name + '.start') 'unread'
  } elseif (-not (Test-Path $key)) {
    Say ($name + '.start') 'absent'
  } else {
    $start = (Get-ItemProperty $key).Start
    if ($start -eq $null) { $start = 'unread' }
    Say ($name + '.start') $start
    $override = 'none'
    if (Test-Path ($key + '\StartOverride')) {
      $override = 'unread'
      $item = Get-Item ($key + '\StartOverride')
      foreach ($value in $item.GetValueNames()) {
        $n = [int]$item.GetValue($value)
        if ($override -eq 'unread' -or $n -gt $override) { $override = $n }
      }
    }
    Say ($name + '.override') $override
    $file = 'no'
    if (Test-Path ($env:windir + '\System32\drivers\' + $name + '.sys')) { $file = 'yes' }
    Say ($name + '.file') $file
  }
}

Write-Output 'shenscan-probe 1 windows'
$os = Get-WmiObject Win32_OperatingSystem
Say 'caption' $os.Caption
Say 'version' $os.Version
Say 'csd' $os.CSDVersion
$machine = $env:PROCESSOR_ARCHITEW6432
if (-not $machine) { $machine = $env:PROCESSOR_ARCHITECTURE }
Say 'machine' $machine

Driver 'viostor'
Driver 'stornvme'

# Xen: services of its drivers, driver packages, and the devices that it hides.
if (Test-Path $services) {
  $found = @()
  foreach ($name in 'xenvbd', 'xennet', 'xenpci', 'xenbus', 'xenvif', 'xenfilt', 'xeniface', 'xevtchn') {
    if (Test-Path ($services + '\' + $name)) { $found += $name }
  }
  Say 'xen.services' ($found -join ',')
  $hidden = (Get-ItemProperty ($services + '\XenPCI\Parameters')).hide_devices
  Say 'xen.hidden' ($hidden -join ',')
} else {
  Say 'xen.services' 'unread'
  Say 'xen.hidden' 'unread'
}
$drivers = @(Get-WmiObject Win32_PnPSignedDriver)
if ($drivers.Count -gt 0) {
  Say 'xen.packages' @($drivers | Where-Object { $_.DeviceName -match 'Xen' -or $_.InfName -match 'xen' }).Count
} else {
  Say 'xen.packages' 'unread'
}

$running = @(Get-Process)
if ($running.Count -gt 0) {
  $found = @()
  foreach ($name in '360tray', '360sd', '360safe', 'ZhuDongFangYu', 'QQPCTray', 'kxescore') {
    if (@($running | Where-Object { $_.ProcessName -eq $name }).Count -gt 0) { $found += $name }
  }
  Say 'security' ($found -join ',')
} else {
  Say 'security' 'unread'
}

# The last result of SFC, from the end of the log that it leaves.
$sfc = 'unread'
$log = $env:windir + '\Logs\CBS\CBS.log'
if (-not (Test-Path $log)) {
  $sfc = 'none'
} else {
  $stream = New-Object IO.FileStream($log, [IO.FileMode]::Open, [IO.FileAccess]::Read, [IO.FileShare]::ReadWrite)
  if ($stream) {
    if ($stream.Length -gt 2097152) { [void]$stream.Seek(-2097152, [IO.SeekOrigin]::End) }
    $reader = New-Object IO.StreamReader($stream)
    $sfc = 'none'
    while (($line = $reader.ReadLine()) -ne $null) {
      if ($line -match '\[SR\] Cannot repair') { $sfc = 'damaged' }
      elseif ($line -match '\[SR\] Verify complete' -and $sfc -ne 'damaged') { $sfc = 'whole' }
      elseif ($line -match '\[SR\] Beginning Verify and Repair') { $sfc = 'none' }
    }
    $reader.Close()
  }
}
Say 'sfc' $sfc
Write-Output ('end=' + $script:lines)
