package distro

import "strconv"

// How each family writes its versions.

func (sc *scan) elVersion(family string, i, n int, c [4]int) string {
	if c[0] >= 40 && c[0] <= 99 { // centos65, CENTOS72_01
		return join(c[0]/10, c[0]%10)
	}
	if n == 1 && c[0] >= 400 && c[0] <= 999 { // centos510
		if c[0]/10%10 == 0 { // 708
			return join(c[0]/100, c[0]%10)
		}
		return join(c[0]/100, c[0]%100)
	}
	if n == 2 && (sc.digits(i+1) > 2 && sc.t[i+1].sep != '.' || c[1] > 999) || c[0] > 999 && family != OtherLinux {
		if c[0] > 99 {
			return ""
		}
		n = 1
	}
	return join(c[:n]...)
}

// debianVersion knows "6.09", "debian609" and "debian_8_09". Debian 6 has only
// ever had point releases 6.0.N.
func (sc *scan) debianVersion(i, n int, c [4]int) string {
	if n == 1 && sc.digits(i) >= 3 {
		n, c = debianCompact(c[0], sc.digits(i))
	}
	if n == 0 || c[0] > 99 {
		return ""
	}
	switch {
	case c[0] == 6 && n == 2 && c[1] > 99:
		return "6" // no point release has three digits
	case c[0] == 6 && n == 2 && c[1] > 0:
		return join(6, 0, c[1])
	case c[0] >= 6 && n == 3 && c[0] != 6:
		n = 2
	case n == 3 && sc.digits(i+2) > 2:
		n = 2
	}
	return join(c[:n]...)
}

// debianCompact splits "606", "609", "6010", "750", "804", "1106".
func debianCompact(v, digits int) (int, [4]int) {
	switch {
	case digits == 3 && v/100 == 6:
		return 3, [4]int{6, v / 10 % 10, v % 10}
	case digits == 4 && v/100 == 60:
		return 3, [4]int{6, 0, v % 100}
	case digits == 3 && v%10 == 0 && v/10%10 != 1:
		return 2, [4]int{v / 100, v / 10 % 10}
	case digits == 3:
		return 2, [4]int{v / 100, v % 100}
	case digits == 4 && v/100 >= 10 && v/100 < 20:
		return 2, [4]int{v / 100, v % 100}
	}
	return 0, [4]int{}
}

// ubuntuVersion knows "12.04", "1204", "140405", "16_0402", "14.0464bit".
func (sc *scan) ubuntuVersion(i, n int, c [4]int, next int) (string, int) {
	year, month := c[0], -1
	switch d := sc.digits(i); {
	case d == 4 || d == 6:
		s := sc.word(i)
		year, month = atoi(s[:2]), atoi(s[2:4])
		if !ubuntuMonth(year, month) {
			return "", next // bosh stemcell 1008
		}
	case d > 2:
		return "", next
	case n == 2:
		s := sc.word(i + 1)
		if len(s) > 2 {
			s = s[:2]
		}
		month = atoi(s)
		if month == 1 && len(s) == 1 {
			month = 10
		}
	}
	if year < 4 || year > 60 {
		return "", next
	}
	if month < 0 || !ubuntuMonth(year, month) {
		return strconv.Itoa(year), next
	}
	return strconv.Itoa(year) + "." + string([]byte{'0' + byte(month/10), '0' + byte(month%10)}), next
}

func ubuntuMonth(year, month int) bool {
	return year >= 4 && year <= 60 && (month == 4 || month == 10 || month == 6 && year == 6)
}

// alinuxVersion knows "17.01", "1501", "2.1903", "3_9".
func alinuxVersion(digits, n int, c [4]int) string {
	if n == 1 && digits == 4 && (c[0]/100 == 15 || c[0]/100 == 17) {
		return join(c[0]/100, c[0]%100)
	}
	if c[0] > 99 {
		return ""
	}
	return join(c[:n]...)
}

// slesVersion knows "11", "11.4", "1503" never: a dotted minor is the service
// pack.
func slesVersion(digits, n int, c [4]int) (version, sp string) {
	if digits > 2 {
		return "", ""
	}
	if n == 2 && c[1] > 0 && c[1] < 20 {
		sp = strconv.Itoa(c[1])
	}
	return strconv.Itoa(c[0]), sp
}

// servicePack finds "SP4" within the tokens after the version.
func (sc *scan) servicePack(i int) (string, bool) {
	for ; i < sc.n-1; i++ {
		if sc.is(i, "sp") && sc.isNum(i+1) && sc.digits(i+1) <= 2 {
			return strconv.Itoa(int(sc.t[i+1].val)), true
		}
		if sc.is(i, "service") && sc.is(i+1, "pack") && sc.isNum(i+2) && sc.digits(i+2) <= 2 {
			return strconv.Itoa(int(sc.t[i+2].val)), true
		}
	}
	return "", false
}

// pairVersion knows "13.1", "1301", "11_02", and the eight digits of a
// snapshot.
func pairVersion(digits, n int, c [4]int) string {
	switch {
	case n == 1 && digits == 4:
		return join(c[0]/100, c[0]%100)
	case n == 1 && digits == 3:
		return join(c[0]/10, c[0]%10)
	case n == 1 && digits == 8:
		return strconv.Itoa(c[0])
	case digits > 2:
		return ""
	}
	return join(c[:n]...)
}

func kylinVersion(v bool, n int, c [4]int) string {
	if v {
		return "V" + strconv.Itoa(c[0])
	}
	return join(c[:n]...)
}

// paddedVersion keeps the two digits of a month: 22.03.
func paddedVersion(n int, c [4]int) string {
	if n < 2 {
		return strconv.Itoa(c[0])
	}
	if c[1] < 10 {
		return strconv.Itoa(c[0]) + ".0" + strconv.Itoa(c[1])
	}
	return join(c[0], c[1])
}
