// Package short copies bytes that are mostly few, as those of words are.
package short

// Append is append(dst, part...). Up to 16 bytes are copied in one way, whatever their number, where part and dst have room for so
// many: what stands behind part is copied along, and stays behind the result's length.
func Append(dst, part []byte) []byte {
	const most = 16
	n := len(dst)
	if len(part) > most || cap(part) < most || cap(dst)-n < most {
		return append(dst, part...)
	}
	*(*[most]byte)(dst[n : n+most]) = *(*[most]byte)(part[:most])
	return dst[:n+len(part)]
}
