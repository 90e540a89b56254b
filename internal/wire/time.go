package wire

import "time"

const (
	msPerSecond = 1000
	msPerDay    = 24 * 60 * 60 * msPerSecond

	minTime = -62167219200000 // 0000-01-01T00:00:00Z, the first moment that RFC 3339 can write
	maxTime = 253402300799999 // 9999-12-31T23:59:59.999Z, the last one
)

// AppendTime appends a time, in milliseconds since the epoch, as RFC 3339 in UTC: 2026-01-21T21:25:25Z. Milliseconds are
// written only when there are some, without trailing zeros: …25.1Z. Times outside the years 0 to 9999, which RFC 3339 cannot
// express, are written as the nearest one that it can.
func AppendTime(dst []byte, ms int64) []byte {
	ms = min(max(ms, minTime), maxTime)
	days, rest := ms/msPerDay, ms%msPerDay
	if rest < 0 {
		days, rest = days-1, rest+msPerDay
	}
	year, month, day := civil(days)
	millis := int(rest % msPerSecond)
	seconds := int(rest / msPerSecond)

	dst = append2(dst, year/100)
	dst = append2(dst, year%100)
	dst = append2(append(dst, '-'), month)
	dst = append2(append(dst, '-'), day)
	dst = append2(append(dst, 'T'), seconds/3600)
	dst = append2(append(dst, ':'), seconds/60%60)
	dst = append2(append(dst, ':'), seconds%60)
	if millis != 0 {
		dst = append(dst, '.', byte('0'+millis/100))
		if millis%100 != 0 {
			dst = append(dst, byte('0'+millis/10%10))
		}
		if millis%10 != 0 {
			dst = append(dst, byte('0'+millis%10))
		}
	}
	return append(dst, 'Z')
}

// append2 appends n, 0 to 99, as two digits.
func append2(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/10), byte('0'+n%10))
}

// scanTime reads a time that stands at the start of data exactly as AppendTime writes it, and returns it with the number of
// bytes read. ok is false when it is written in any other way; it may be a time all the same (see parseTime).
func scanTime(data []byte) (ms int64, n int, ok bool) {
	const layout = "0000-00-00T00:00:00"
	if len(data) < len(layout)+1 {
		return 0, 0, false
	}
	for i := range len(layout) {
		if layout[i] == '0' && data[i]-'0' > 9 || layout[i] != '0' && data[i] != layout[i] {
			return 0, 0, false
		}
	}
	two := func(i int) int64 { return int64(data[i]-'0')*10 + int64(data[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, 0, false
	}
	ms = daysSinceEpoch(year, month, day)*msPerDay + ((hour*60+minute)*60+second)*msPerSecond

	n = len(layout)
	if data[n] == '.' {
		n++
		for unit := int64(100); unit > 0 && n < len(data) && data[n]-'0' <= 9; unit /= 10 {
			ms += int64(data[n]-'0') * unit
			n++
		}
		if data[n-1] == '.' || data[n-1] == '0' {
			return 0, 0, false
		}
	}
	if n == len(data) || data[n] != 'Z' {
		return 0, 0, false
	}
	return ms, n + 1, true
}

// parseTime reads any RFC 3339 time that is a whole number of milliseconds.
func parseTime(s string) (ms int64, ok bool) {
	if ms, n, ok := scanTime([]byte(s)); ok && n == len(s) {
		return ms, true
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	ms = t.UnixMilli()
	if err != nil || t.Nanosecond()%int(time.Millisecond) != 0 || ms < minTime || ms > maxTime {
		return 0, false
	}
	return ms, true
}

// civil gives the date, in the Gregorian calendar, of a day counted from 1970-01-01. The algorithm is civil_from_days of
// Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms": 400-year eras whose years begin in March.
func civil(days int64) (year, month, day int) {
	days += 719468
	era := days / 146097
	if days < 0 {
		era = (days - 146096) / 146097
	}
	dayOfEra := days - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	march := (5*dayOfYear + 2) / 153
	day = int(dayOfYear - (153*march+2)/5 + 1)
	year = int(yearOfEra + era*400)
	if month = int(march + 3); month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

// daysSinceEpoch is the inverse of civil (days_from_civil of the same paper), for years from 0 on.
func daysSinceEpoch(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := year / 400
	if year < 0 {
		era = -1
	}
	yearOfEra := year - era*400
	dayOfYear := (153*(month-3)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return era*146097 + dayOfEra - 719468
}

// daysIn returns the number of days of a month.
func daysIn(year, month int64) int64 {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}
