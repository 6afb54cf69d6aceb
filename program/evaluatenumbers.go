package program

import (
	"math/big"
	"math/bits"
	"strconv"
	"strings"
)

const (
	boxInt     = "Ljava/lang/Integer;"
	boxLong    = "Ljava/lang/Long;"
	boxShort   = "Ljava/lang/Short;"
	boxByte    = "Ljava/lang/Byte;"
	boxChar    = "Ljava/lang/Character;"
	boxBoolean = "Ljava/lang/Boolean;"
)

// numberOps are boxes, which are the numbers in them, and what computes on numbers.
func numberOps(on modeller, pure pureModeller) {
	for _, c := range [...]string{boxInt, boxLong, boxShort, boxByte, boxChar, boxBoolean, "Ljava/lang/Float;", "Ljava/lang/Double;"} {
		float := c == "Ljava/lang/Float;" || c == "Ljava/lang/Double;"
		size := map[string]int{boxInt: 32, boxLong: 64, boxShort: 16, boxByte: 8}[c]
		on(c, "valueOf intValue longValue shortValue byteValue booleanValue charValue", func(r *run, s *site) value {
			v := s.arg(0)
			if s.name == "valueOf" {
				if paramType(s.proto, 0) == classString {
					return r.parsed(s, size)
				}
				if v.kind == number {
					v.typ = r.retType(s.proto)
				}
			} else {
				v.typ = 0
				switch {
				case v.kind != number:
				case float:
					v.kind, v.n = anything, 0
				case s.name == "byteValue":
					v.n = int64(int8(v.n))
				case s.name == "shortValue":
					v.n = int64(int16(v.n))
				case s.name == "intValue":
					v.n = int64(int32(v.n))
				}
			}
			if v.kind == number || v.alts != 0 || v.test != 0 {
				return v
			}
			return value{taint: v.taint}
		})
		if float {
			continue
		}
		on(c, "parseInt parseLong parseShort parseByte parseBoolean decode", func(r *run, s *site) value { return r.parsed(s, size) })
		pure(c, "toString", func(k *inputs) value {
			n, base := k.num(0), int64(10)
			if len(k.s.args) > 1 {
				base = k.num(1)
			}
			if base < 2 || base > 36 {
				base = 10
			}
			switch c {
			case boxChar:
				return k.textValue(fromUnits([]uint16{uint16(n)}))
			case boxBoolean:
				return k.textValue(strconv.FormatBool(n != 0))
			}
			return k.textValue(strconv.FormatInt(n, int(base)))
		})
	}
	for _, c := range [...]string{boxInt, boxLong} {
		pure(c, "toHexString toBinaryString toOctalString", func(k *inputs) value {
			n := uint64(k.num(0))
			if c == boxInt {
				n = uint64(uint32(n))
			}
			return k.textValue(strconv.FormatUint(n, map[string]int{"toHexString": 16, "toBinaryString": 2, "toOctalString": 8}[k.s.name]))
		})
		pure(c, "rotateLeft rotateRight", func(k *inputs) value {
			n, by := k.num(0), int(int32(k.num(1)))
			if k.s.name == "rotateRight" {
				by = -by
			}
			if c == boxInt {
				return intVal(int64(int32(bits.RotateLeft32(uint32(n), by%32))))
			}
			return intVal(int64(bits.RotateLeft64(uint64(n), by%64)))
		})
		pure(c, "reverseBytes", func(k *inputs) value {
			n := k.num(0)
			if c == boxInt {
				return intVal(int64(int32(bits.ReverseBytes32(uint32(n)))))
			}
			return intVal(int64(bits.ReverseBytes64(uint64(n))))
		})
		pure(c, "bitCount", func(k *inputs) value {
			n := uint64(k.num(0))
			if c == boxInt {
				n = uint64(uint32(n))
			}
			return intVal(int64(bits.OnesCount64(n)))
		})
	}
	pure("Ljava/lang/Math;", "abs min max", func(k *inputs) value {
		a := k.num(0)
		typ := k.param(0)
		if typ != "I" && typ != "J" {
			return k.unknown()
		}
		switch k.s.name {
		case "min":
			return intVal(min(a, k.num(1)))
		case "max":
			return intVal(max(a, k.num(1)))
		}
		if a < 0 {
			a = -a
		}
		if typ == "I" { // the least number has no opposite
			a = int64(int32(a))
		}
		return intVal(a)
	})
	// Of characters, only ASCII's: what the others are depends on the phone's release.
	char := func(names string, f func(k *inputs, c int64) value) {
		pure(boxChar, names, func(k *inputs) value {
			c := k.num(0)
			if c < 0 || c > 0x7f || k.open {
				return k.unknown()
			}
			return f(k, c)
		})
	}
	digit := func(c int64) int64 {
		switch {
		case c >= '0' && c <= '9':
			return c - '0'
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			return c | 0x20 - 'a' + 10
		}
		return -1
	}
	upper := func(c int64) bool { return c >= 'A' && c <= 'Z' }
	lower := func(c int64) bool { return c >= 'a' && c <= 'z' }
	char("isDigit", func(k *inputs, c int64) value { return truth(c >= '0' && c <= '9') })
	char("isLetter isAlphabetic", func(k *inputs, c int64) value { return truth(upper(c) || lower(c)) })
	char("isLetterOrDigit", func(k *inputs, c int64) value { return truth(digit(c) >= 0) })
	char("isUpperCase", func(k *inputs, c int64) value { return truth(upper(c)) })
	char("isLowerCase", func(k *inputs, c int64) value { return truth(lower(c)) })
	char("isWhitespace", func(k *inputs, c int64) value { return truth(c == ' ' || c >= 9 && c <= 13 || c >= 28 && c <= 31) })
	char("toUpperCase", func(k *inputs, c int64) value {
		if lower(c) {
			c -= 'a' - 'A'
		}
		return intVal(c)
	})
	char("toLowerCase", func(k *inputs, c int64) value {
		if upper(c) {
			c += 'a' - 'A'
		}
		return intVal(c)
	})
	char("getNumericValue", func(k *inputs, c int64) value { return intVal(digit(c)) })
	char("digit", func(k *inputs, c int64) value {
		base := k.num(1)
		if d := digit(c); d < base && base >= 2 && base <= 36 {
			return intVal(d)
		}
		return intVal(-1)
	})
	pure(boxChar, "forDigit", func(k *inputs) value {
		d, base := k.num(0), k.num(1)
		if d < 0 || d >= base || base < 2 || base > 36 {
			return intVal(0)
		}
		return intVal(int64("0123456789abcdefghijklmnopqrstuvwxyz"[d]))
	})
	bigNumbers(on, pure)
}

// parsed is the number that a text says; size is that of the type in bits, 0 for a boolean.
func (r *run) parsed(s *site, size int) value {
	k := &inputs{r: r, s: s}
	t, base := k.text(0), int64(10)
	if len(s.args) > 1 {
		base = k.num(1)
	}
	if k.open || base < 2 || base > 36 {
		return value{taint: r.labelsIn(s)}
	}
	if size == 0 {
		return value{kind: number, n: b2i(strings.EqualFold(t, "true")), taint: k.taint}
	}
	if s.name == "decode" {
		sign := ""
		if strings.HasPrefix(t, "-") || strings.HasPrefix(t, "+") {
			sign, t = t[:1], t[1:]
		}
		switch {
		case strings.HasPrefix(t, "0x"), strings.HasPrefix(t, "0X"):
			t, base = t[2:], 16
		case strings.HasPrefix(t, "#"):
			t, base = t[1:], 16
		case strings.HasPrefix(t, "0") && len(t) > 1:
			t, base = t[1:], 8
		}
		if strings.ContainsAny(t, "+-") {
			return value{taint: k.taint}
		}
		t = sign + t
	}
	n, err := strconv.ParseInt(t, int(base), size)
	if err != nil {
		return value{taint: k.taint}
	}
	v := value{kind: number, n: n, taint: k.taint}
	if s.name == "valueOf" || s.name == "decode" {
		v.typ = r.retType(s.proto)
	}
	return v
}

const bigInteger = "Ljava/math/BigInteger;"

// bigNumbers is BigInteger, which holds the bytes of its two's complement.
func bigNumbers(on modeller, pure pureModeller) {
	held := func(k *inputs, i int) *big.Int { return fromTwos([]byte(k.held(i, keyRaw))) }
	on(bigInteger, "<init>", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		var n *big.Int
		switch k.param(1) {
		case classString:
			base := int64(10)
			if len(s.args) > 2 {
				base = k.num(2)
			}
			if t := k.text(1); !k.open && base >= 2 && base <= 36 && len(t) <= maxDigits {
				n, _ = new(big.Int).SetString(t, int(base))
			}
		case "[B":
			if b := k.bytes(1); !k.open && len(b) > 0 && len(s.args) == 2 {
				n = fromTwos(b)
			}
		case "I":
			if sign, b := k.num(1), k.bytes(2); !k.open && len(s.args) == 3 {
				if n = new(big.Int).SetBytes(b); sign < 0 {
					n.Neg(n)
				} else if sign == 0 && n.Sign() != 0 {
					n = nil
				}
			}
		}
		r.rule(s)
		v := value{taint: r.labelsIn(s)}
		if n != nil && n.BitLen() <= maxDigits*8 {
			v = r.text(string(twos(n)))
			v.taint = k.taint
		}
		r.hold(s, keyRaw, v)
		return value{}
	})
	pure(bigInteger, "valueOf", func(k *inputs) value { return k.made(map[uint32]string{keyRaw: string(twos(big.NewInt(k.num(0))))}) })
	pure(bigInteger, "toByteArray", func(k *inputs) value { return k.bytesValue([]byte(k.held(0, keyRaw))) })
	pure(bigInteger, "intValue", func(k *inputs) value { return intVal(int64(int32(lowBits(held(k, 0))))) })
	pure(bigInteger, "longValue", func(k *inputs) value { return intVal(lowBits(held(k, 0))) })
	pure(bigInteger, "toString", func(k *inputs) value {
		n, base := held(k, 0), int64(10)
		if len(k.s.args) > 1 {
			base = k.num(1)
		}
		if base < 2 || base > 36 {
			base = 10
		}
		return k.textValue(n.Text(int(base)))
	})
	pure(bigInteger, "add subtract multiply xor and or mod", func(k *inputs) value {
		a, b, n := held(k, 0), held(k, 1), new(big.Int)
		if k.open {
			return value{}
		}
		switch k.s.name {
		case "add":
			n.Add(a, b)
		case "subtract":
			n.Sub(a, b)
		case "multiply":
			n.Mul(a, b)
		case "xor":
			n.Xor(a, b)
		case "and":
			n.And(a, b)
		case "or":
			n.Or(a, b)
		case "mod":
			if b.Sign() <= 0 {
				return k.unknown()
			}
			n.Mod(a, b)
		}
		if n.BitLen() > maxDigits*8 {
			return k.unknown()
		}
		return k.made(map[uint32]string{keyRaw: string(twos(n))})
	})
}

// maxDigits bounds the digits and bytes of a big number: the largest keys in use have 1,233 digits.
const maxDigits = 2048

// twos is the shortest two's complement of n, as BigInteger.toByteArray gives it.
func twos(n *big.Int) []byte {
	if n.Sign() >= 0 {
		return n.FillBytes(make([]byte, n.BitLen()/8+1))
	}
	// -n-1 has the same bits inverted
	b := twos(new(big.Int).Not(n))
	for i := range b {
		b[i] = ^b[i]
	}
	return b
}

func fromTwos(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	return n
}

func lowBits(n *big.Int) int64 {
	b := twos(n)
	x := int64(int8(b[0]))
	for _, c := range b[1:] {
		x = x<<8 | int64(c)
	}
	return x
}
