package text

import (
	"fmt"
	"math"
	"math/rand/v2"
)

const (
	zipfLineWords = 10
	syllables     = 100
)

// Zipf is lines of ten words each, where the word of rank r has a probability in proportion to 1/r^s: a wide vocabulary with
// a long tail. Words are made of syllables, frequent ones of fewer.
type Zipf struct {
	s     float64
	table []alias
}

// alias is a column of Walker's alias method (Vose 1991): rank itself with probability keep/2³², else other.
type alias struct{ keep, other uint32 }

// NewZipf is for a vocabulary of n words, 1 to 2³¹, and an exponent s ≥ 0.
func NewZipf(s float64, n int) *Zipf {
	weights := make([]float64, n)
	sum := 0.0
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -s)
		sum += weights[i]
	}
	z := &Zipf{s: s, table: make([]alias, n)}
	var small, large []uint32
	for i := range weights {
		weights[i] *= float64(n) / sum
		if weights[i] < 1 {
			small = append(small, uint32(i))
		} else {
			large = append(large, uint32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		i, j := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		z.table[i] = alias{uint32(weights[i] * (1 << 32)), j}
		if weights[j] -= 1 - weights[i]; weights[j] < 1 {
			large = large[:len(large)-1]
			small = append(small, j)
		}
	}
	for _, i := range append(small, large...) { // 1 but for rounding
		z.table[i] = alias{math.MaxUint32, i}
	}
	return z
}

// Describe implements Text.
func (z *Zipf) Describe() string { return fmt.Sprintf("Zipf s=%g over %d words", z.s, len(z.table)) }

// Lines implements Text.
func (z *Zipf) Lines(seed, number uint64) Lines {
	return &zipfLines{Zipf: z, random: rand.NewPCG(seed, number)}
}

type zipfLines struct {
	*Zipf
	random *rand.PCG
	line   []byte
}

func (l *zipfLines) Next() []byte {
	var ranks [zipfLineWords]uint32
	for i := range ranks { // in a loop of their own the look-ups, which miss the caches, overlap
		r := l.random.Uint64()
		// The upper half chooses the column (Lemire's multiplication), the lower one the side.
		rank := uint32(r >> 32 * uint64(len(l.table)) >> 32)
		if a := l.table[rank]; uint32(r) > a.keep {
			rank = a.other
		}
		ranks[i] = rank
	}
	l.line = l.line[:0]
	for i, rank := range ranks {
		if i > 0 {
			l.line = append(l.line, ' ')
		}
		l.line = appendWord(l.line, rank)
	}
	return l.line
}

// appendWord writes a rank as syllables, one for the first hundred, two for the next ten thousand, and so on: each rank has its own word.
func appendWord(dst []byte, rank uint32) []byte {
	const consonants, vowels = "bcdfghjklmnprstvwxyz", "aeiou"
	for {
		s := rank % syllables
		dst = append(dst, consonants[s/5], vowels[s%5])
		if rank < syllables {
			return dst
		}
		rank = rank/syllables - 1
	}
}
