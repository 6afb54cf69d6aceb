package program

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"math/rand"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"gifthorse/format/dex"
)

// A machine carries out single calls of the platform, one after the other, as interpreted code would make them. Calls
// and results are written as testdata/oracle/Oracle.java explains.
type machine struct {
	r       *run
	f       *frame
	cur     *local
	results []value
}

var theMachinesProgram *Program

func newMachine(t testing.TB) *machine {
	if theMachinesProgram == nil {
		theMachinesProgram = loaded(theApp(seeds(t)[0]))
	}
	p := theMachinesProgram
	r := newRun(p, &Entry{}, len(p.spaces)-1)
	r.limit = 1 << 40
	return &machine{r: r, f: &frame{m: 1, b: &body{dex: &p.dexes[0]}}, cur: &local{}}
}

// sym returns the number of a name, which the program must know as it would from a DEX.
func (m *machine) sym(name string) Sym { return m.r.p.syms.str(name) }

func (m *machine) call(line string) value {
	f := strings.Split(line, "\t")
	s := &site{f: m.f, cur: m.cur, in: &dex.Insn{PC: uint32(len(m.results) + 1)}, name: f[1], proto: f[2], class: m.sym(f[0]), sp: m.r.space, inst: f[3] != "static"}
	s.wrote = s.class
	m.sym(f[2][strings.IndexByte(f[2], ')')+1:])
	words := f[4:]
	if f[3] == "new" {
		s.args = append(s.args, m.r.alloc(m.f, m.cur, s.class, s.in.PC, false))
	}
	for len(words) > 0 {
		var v value
		v, words = m.value(s, words)
		s.args = append(s.args, v)
	}
	var v value
	if x := m.r.p.findModel(f[0], f[1]); x.f != nil {
		v = x.f(m.r, s)
	} else {
		v = m.r.rule(s)
	}
	if f[3] == "new" {
		if v = s.args[0]; f[0] == classString {
			v = m.r.content(m.cur, v)
		}
	}
	m.results = append(m.results, v)
	return v
}

func (m *machine) value(s *site, words []string) (value, []string) {
	w, words := words[0], words[1:]
	kind, rest, _ := strings.Cut(w, ":")
	other := *s // arrays are made elsewhere
	other.in = &dex.Insn{PC: s.in.PC + 1<<20*uint32(len(s.args)+len(words)+1)}
	switch kind[0] {
	case '$':
		n, _ := strconv.Atoi(kind[1:])
		return m.results[n], words
	case 'i':
		n, _ := strconv.ParseInt(rest, 10, 64)
		return intVal(n), words
	case 'x':
		box, num, _ := strings.Cut(rest, ":")
		n, _ := strconv.ParseInt(num, 10, 64)
		return value{kind: number, n: n, typ: m.sym("Ljava/lang/" + box + ";")}, words
	case 's':
		return m.r.text(fromUnits(unitsOf(rest))), words
	case 'C':
		u := unitsOf(rest)
		return m.r.arrayOf(&other, "[C", len(u), 0, func(i int) value { return intVal(int64(u[i])) }), words
	case 'B':
		b, _ := hex.DecodeString(rest)
		return m.r.bytesOf(&other, b, 0), words
	case 'I':
		list := strings.FieldsFunc(rest, func(c rune) bool { return c == ',' })
		m.sym("[I")
		return m.r.arrayOf(&other, "[I", len(list), 0, func(i int) value {
			n, _ := strconv.ParseInt(list[i], 10, 64)
			return intVal(n)
		}), words
	case 'S', 'O':
		n, _ := strconv.Atoi(rest)
		list := make([]value, n)
		for i := range list {
			list[i], words = m.value(s, words)
		}
		m.sym("[Ljava/lang/Object;")
		return m.r.arrayOf(&other, map[byte]string{'S': "[Ljava/lang/String;", 'O': "[Ljava/lang/Object;"}[kind[0]], n, 0, func(i int) value { return list[i] }), words
	}
	return intVal(0), words
}

// say writes a result as the oracle does; what is not known is "?".
func (m *machine) say(v value) string {
	switch v.kind {
	case number:
		return "i:" + strconv.FormatInt(v.n, 10)
	case text:
		u, ok := utf16Units(m.r.texts[v.n])
		if !ok {
			return "?"
		}
		return "s:" + hexUnits(u)
	case object:
		list, _, ok := m.r.numbers(m.cur, v)
		var b strings.Builder
		switch class := m.r.p.syms.text[m.r.objects[m.r.objectsOf(v)[0]].class]; {
		case class == "[B" && ok:
			b.WriteString("B:")
			for _, n := range list {
				if n < -128 || n > 127 {
					return fmt.Sprint("a byte of ", n)
				}
				fmt.Fprintf(&b, "%02x", byte(n))
			}
			return b.String()
		case class == "[C" && ok:
			u := make([]uint16, len(list))
			for i, n := range list {
				if u[i] = uint16(n); int64(u[i]) != n {
					return fmt.Sprint("a char of ", n)
				}
			}
			return "C:" + hexUnits(u)
		case class == "[Ljava/lang/String;":
			n := m.r.lengthOf(m.cur, v)
			fmt.Fprintf(&b, "S:%d", n)
			for i := range n {
				b.WriteString("\t" + m.say(m.r.arrayGet(m.cur, v, intVal(i))))
			}
			return b.String()
		}
	}
	return "?"
}

func unitsOf(h string) []uint16 {
	b, _ := hex.DecodeString(h)
	u := make([]uint16, len(b)/2)
	for i := range u {
		u[i] = uint16(b[2*i])<<8 | uint16(b[2*i+1])
	}
	return u
}

func hexUnits(u []uint16) string {
	var b strings.Builder
	for _, x := range u {
		fmt.Fprintf(&b, "%04x", x)
	}
	return b.String()
}

func str(t string) string {
	u, ok := utf16Units(t)
	if !ok {
		panic(t)
	}
	return "s:" + hexUnits(u)
}

// script is a list of calls. Those that must be known, must not fall silent.
type script struct {
	lines []string
	must  map[int]bool
}

func (c *script) add(must bool, class, name, proto, how string, args ...string) string {
	n := len(c.lines)
	c.lines = append(c.lines, strings.Join(append([]string{class, name, proto, how}, args...), "\t"))
	if c.must[n] = must; c.must == nil {
		panic("no map")
	}
	return "$" + strconv.Itoa(n)
}

const strs = classString

// theScript calls every kind of method that is evaluated: first what must be known, then what chance brings.
func theScript() *script {
	c := &script{must: map[int]bool{}}
	rng := rand.New(rand.NewSource(1))
	texts := []string{"", "a", "abc", "a,b,,c,,", ",", ",,", "Hello World", "  trim me\t\n", "ä€𝄞z", "𝄞𝄞", "ab\x00cd", "ABCabc", "aXbXc", "1.2.3", "a|b||c", "äöü", "ǅ", "null", "日本語テキスト"}
	bytesOf := func(n int) string {
		b := make([]byte, n)
		rng.Read(b)
		return "B:" + hex.EncodeToString(b)
	}
	num := func(n int) string { return "i:" + strconv.Itoa(n) }
	for _, t := range texts {
		a := str(t)
		ascii := isASCII(t)
		c.add(true, strs, "length", "()I", "virtual", a)
		c.add(true, strs, "hashCode", "()I", "virtual", a)
		c.add(true, strs, "isEmpty", "()Z", "virtual", a)
		c.add(true, strs, "toCharArray", "()[C", "virtual", a)
		c.add(true, strs, "getBytes", "()[B", "virtual", a)
		c.add(true, strs, "trim", "()Ljava/lang/String;", "virtual", a)
		c.add(ascii, strs, "toUpperCase", "()Ljava/lang/String;", "virtual", a)
		c.add(ascii, strs, "toLowerCase", "()Ljava/lang/String;", "virtual", a)
		for _, cs := range []string{"UTF-8", "ISO-8859-1", "US-ASCII", "UTF-16", "UTF-16BE", "UTF-16LE", "latin1"} {
			b := c.add(true, strs, "getBytes", "(Ljava/lang/String;)[B", "virtual", a, str(cs))
			c.add(true, strs, "<init>", "([BLjava/lang/String;)V", "new", b, str(cs))
		}
		n, _ := utf16Length(t)
		for i := -1; i <= n+1; i++ {
			c.add(i >= 0 && i < n, strs, "charAt", "(I)C", "virtual", a, num(i))
			c.add(false, strs, "substring", "(I)Ljava/lang/String;", "virtual", a, num(i))
			for j := i - 1; j <= n+1 && n < 8; j++ {
				c.add(ascii && i >= 0 && j >= i && j <= n, strs, "substring", "(II)Ljava/lang/String;", "virtual", a, num(i), num(j))
			}
		}
		for _, x := range []string{"", "a", "b", ",", "X", "𝄞", "€", "cd", "zz", "."} {
			c.add(true, strs, "indexOf", "(Ljava/lang/String;)I", "virtual", a, str(x))
			c.add(true, strs, "lastIndexOf", "(Ljava/lang/String;)I", "virtual", a, str(x))
			for i := -1; i <= n+1; i++ {
				c.add(false, strs, "indexOf", "(Ljava/lang/String;I)I", "virtual", a, str(x), num(i))
				c.add(false, strs, "lastIndexOf", "(Ljava/lang/String;I)I", "virtual", a, str(x), num(i))
				c.add(false, strs, "indexOf", "(II)I", "virtual", a, num(int(rng.Intn(200))), num(i))
			}
			c.add(true, strs, "compareTo", "(Ljava/lang/String;)I", "virtual", a, str(x))
			c.add(false, strs, "compareToIgnoreCase", "(Ljava/lang/String;)I", "virtual", a, str(x))
			c.add(false, strs, "replaceFirst", "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;", "virtual", a, str(x), str("<>"))
			c.add(false, strs, "replaceAll", "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;", "virtual", a, str(x), str("<$>"))
			c.add(x != "", strs, "replace", "(Ljava/lang/CharSequence;Ljava/lang/CharSequence;)Ljava/lang/String;", "virtual", a, str(x), str("<$>"))
			for _, limit := range []int{-1, 0, 1, 2, 3} {
				c.add(x == "a" || x == ",", strs, "split", "(Ljava/lang/String;I)[Ljava/lang/String;", "virtual", a, str(x), num(limit))
			}
			c.add(x == ",", strs, "split", "(Ljava/lang/String;)[Ljava/lang/String;", "virtual", a, str(x))
			c.add(true, strs, "concat", "(Ljava/lang/String;)Ljava/lang/String;", "virtual", a, str(x))
		}
		for _, re := range []string{`\|`, `\.`, `[.]`, `a|b`, `.`, `\Q||\E`, `\\`, `\s`, `]`, `}`, `X+`, `\-`} {
			c.add(re == `\|` || re == `\.` || re == `\Q||\E`, strs, "split", "(Ljava/lang/String;)[Ljava/lang/String;", "virtual", a, str(re))
			c.add(false, strs, "replaceAll", "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;", "virtual", a, str(re), str("-"))
			c.add(false, strs, "matches", "(Ljava/lang/String;)Z", "virtual", a, str(re))
		}
		c.add(true, strs, "replace", "(CC)Ljava/lang/String;", "virtual", a, num('a'), num(0x20ac))
		c.add(true, strs, "repeat", "(I)Ljava/lang/String;", "virtual", a, num(3))
		c.add(true, strs, "join", "(Ljava/lang/CharSequence;[Ljava/lang/CharSequence;)Ljava/lang/String;", "static", a, "S:2", str("x"), str("y"))
		// A builder, changed step by step.
		sb := c.add(false, classBuilder, "<init>", "(Ljava/lang/String;)V", "new", a)
		see := func() { c.add(true, classBuilder, "toString", "()Ljava/lang/String;", "virtual", sb) }
		for _, p := range [][]string{{"C", num(0x61)}, {"I", num(-7)}, {"Z", num(1)}, {"J", "i:9223372036854775807"}, {"Ljava/lang/String;", str("𝄞")}, {"[C", "C:d834dd1e"}, {"C", num(0xd834)}, {"C", num(0xdd1e)}, {"Ljava/lang/Object;", "x:Integer:5"},
			{"Ljava/lang/Object;", "x:Character:65"}, {"Ljava/lang/Object;", "x:Boolean:1"}, {"[CII", "C:00610062006300640065", num(1), num(3)}, {"Ljava/lang/CharSequence;II", str("sequence"), num(2), num(5)}} {
			c.add(false, classBuilder, "append", "("+p[0]+")Ljava/lang/StringBuilder;", "virtual", append([]string{sb}, p[1:]...)...)
			see()
			if len(p) == 2 && p[0] != "C" {
				c.add(false, classBuilder, "insert", "(I"+p[0]+")Ljava/lang/StringBuilder;", "virtual", append([]string{sb, num(0)}, p[1:]...)...)
				see()
			}
		}
		c.add(true, classBuilder, "length", "()I", "virtual", sb)
		c.add(false, classBuilder, "setCharAt", "(IC)V", "virtual", sb, num(3), num('#'))
		see()
		c.add(false, classBuilder, "deleteCharAt", "(I)Ljava/lang/StringBuilder;", "virtual", sb, num(2))
		see()
		c.add(false, classBuilder, "insert", "(ILjava/lang/String;)Ljava/lang/StringBuilder;", "virtual", sb, num(4), str("in"))
		see()
		c.add(false, classBuilder, "delete", "(II)Ljava/lang/StringBuilder;", "virtual", sb, num(1), num(3))
		see()
		c.add(false, classBuilder, "replace", "(IILjava/lang/String;)Ljava/lang/StringBuilder;", "virtual", sb, num(2), num(5), str("<ü>"))
		see()
		c.add(true, classBuilder, "indexOf", "(Ljava/lang/String;)I", "virtual", sb, str("ü"))
		c.add(false, classBuilder, "reverse", "()Ljava/lang/StringBuilder;", "virtual", sb)
		see()
		c.add(false, classBuilder, "setLength", "(I)V", "virtual", sb, num(5))
		see()
		c.add(false, classBuilder, "setLength", "(I)V", "virtual", sb, num(8))
		see()
	}
	// String.format.
	boxes := []string{"x:Integer:0", "x:Integer:42", "x:Integer:-42", "x:Long:-1", "x:Byte:-1", "x:Short:-2", "x:Character:65", "x:Boolean:1", "x:Boolean:0", str("text"), str(""), "n", "x:Long:4611686018427387904"}
	forms := []string{"%s", "%d", "%x", "%X", "%c", "%b", "%5s|", "%-5s|", "%05d", "%+d", "% d", "%08x", "%.2s", "%S", "%5c", "%02x", "%%%s%n", "%1$s%1$s", "%<s", "%s%<s", "%2$s", "%y", "%", "%-d", "%5", "%5%", "%-5d|", "%-05d", "%+x", "%,d", "%o", "%h", "%1$s %s", "%B", "%-b", "%010d", "%+ d", "%0d", "%.3d"}
	for _, form := range forms {
		for _, b := range boxes {
			c.add(form == "%d" && b == "x:Integer:42", strs, "format", "(Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/String;", "static", str(form), "O:1", b)
		}
	}
	c.add(true, strs, "format", "(Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/String;", "static", str("%s-%03d-%x-%c"), "O:4", str("ä"), "x:Integer:7", "x:Byte:-3", "x:Character:66")
	for range 400 { // by chance
		form := ""
		for range 1 + rng.Intn(4) {
			form += []string{"%", "%", "%1$", "%2$", "x", "%-", "%0", "%+"}[rng.Intn(8)] + []string{"", "", "5", "12", ".1"}[rng.Intn(5)] + []string{"s", "d", "x", "c", "b", "X", "n", "%"}[rng.Intn(8)]
		}
		c.add(false, strs, "format", "(Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/String;", "static", str(form), "O:2", boxes[rng.Intn(len(boxes))], boxes[rng.Intn(len(boxes))])
	}
	// Strings of arrays.
	c.add(true, strs, "<init>", "([C)V", "new", "C:d834dd1e0041dd1ed834")
	c.add(true, strs, "<init>", "([CII)V", "new", "C:00610062006300640065", num(1), num(3))
	c.add(false, strs, "<init>", "([CII)V", "new", "C:00610062006300640065", num(4), num(3))
	c.add(true, strs, "valueOf", "([CII)Ljava/lang/String;", "static", "C:00610062006300640065", num(0), num(2))
	c.add(true, strs, "valueOf", "(C)Ljava/lang/String;", "static", num(0x20ac))
	c.add(true, strs, "valueOf", "(Z)Ljava/lang/String;", "static", num(1))
	c.add(true, strs, "valueOf", "(J)Ljava/lang/String;", "static", "i:-9223372036854775808")
	c.add(true, strs, "valueOf", "(Ljava/lang/Object;)Ljava/lang/String;", "static", "x:Character:66")
	c.add(true, strs, "<init>", "([BIILjava/lang/String;)V", "new", "B:6162c3a464", num(1), num(3), str("UTF-8"))
	c.add(false, strs, "<init>", "([BIILjava/lang/String;)V", "new", "B:6162c3a464", num(1), num(2), str("UTF-8"))
	c.add(false, strs, "<init>", "([BII)V", "new", "B:6162", num(1), num(2))
	c.add(false, strs, "<init>", "([BI)V", "new", "B:6162", num(1))
	// Numbers.
	for _, n := range []int64{0, 1, -1, 42, -128, 127, 255, 65535, 2147483647, -2147483648, 305419896} {
		a := "i:" + strconv.FormatInt(n, 10)
		for _, name := range []string{"toHexString", "toBinaryString", "toOctalString", "toString"} {
			c.add(true, boxInt, name, "(I)Ljava/lang/String;", "static", a)
			c.add(true, boxLong, name, "(J)Ljava/lang/String;", "static", a)
		}
		for _, base := range []int{2, 16, 36} {
			c.add(true, boxInt, "toString", "(II)Ljava/lang/String;", "static", a, num(base))
		}
		for _, by := range []int{0, 5, 31, 37, -3} {
			for _, name := range []string{"rotateLeft", "rotateRight"} {
				c.add(true, boxInt, name, "(II)I", "static", a, num(by))
				c.add(true, boxLong, name, "(JI)J", "static", a, num(by))
			}
			c.add(true, "Ljava/lang/Math;", "max", "(II)I", "static", a, num(by))
			c.add(true, "Ljava/lang/Math;", "min", "(JJ)J", "static", a, num(by))
		}
		c.add(true, boxInt, "reverseBytes", "(I)I", "static", a)
		c.add(true, boxLong, "reverseBytes", "(J)J", "static", a)
		c.add(true, boxInt, "bitCount", "(I)I", "static", a)
		c.add(true, "Ljava/lang/Math;", "abs", "(I)I", "static", a)
		c.add(true, "Ljava/lang/Math;", "abs", "(J)J", "static", a)
		box := c.add(true, boxInt, "valueOf", "(I)Ljava/lang/Integer;", "static", a)
		for _, name := range []string{"byteValue:B", "shortValue:S", "intValue:I", "longValue:J"} {
			name, ret, _ := strings.Cut(name, ":")
			c.add(true, boxInt, name, "()"+ret, "virtual", box)
		}
		c.add(true, boxInt, "toString", "()Ljava/lang/String;", "virtual", box)
		if n >= 0 && n < 0x180 {
			for _, name := range []string{"isDigit:Z", "isLetter:Z", "isLetterOrDigit:Z", "isUpperCase:Z", "isLowerCase:Z", "isWhitespace:Z", "toUpperCase:C", "toLowerCase:C", "getNumericValue:I"} {
				name, ret, _ := strings.Cut(name, ":")
				for i := range int64(128) {
					c.add(n+i < 128, boxChar, name, "(C)"+ret, "static", "i:"+strconv.FormatInt(n+i, 10))
				}
			}
			for i := range int64(100) {
				c.add(true, boxChar, "forDigit", "(II)C", "static", "i:"+strconv.FormatInt(i-5, 10), num(16))
				c.add(false, boxChar, "digit", "(CI)I", "static", "i:"+strconv.FormatInt(n+i, 10), num(int(i)-20))
			}
		}
	}
	for _, t := range []string{"", "0", "+5", "-7", "127", "128", "-128", "ff", "FF", "-ff", "0x1F", "-0x1f", "#ff", "010", "+-5", "2147483648", "-2147483648", "9223372036854775807", " 1", "1_0", "true", "TRUE", "yes", "٣", "0x", "-"} {
		c.add(false, boxInt, "parseInt", "(Ljava/lang/String;)I", "static", str(t))
		c.add(false, boxInt, "parseInt", "(Ljava/lang/String;I)I", "static", str(t), num(16))
		c.add(false, boxLong, "parseLong", "(Ljava/lang/String;)J", "static", str(t))
		c.add(false, boxByte, "parseByte", "(Ljava/lang/String;)B", "static", str(t))
		c.add(false, boxShort, "valueOf", "(Ljava/lang/String;)Ljava/lang/Short;", "static", str(t))
		c.add(false, boxInt, "decode", "(Ljava/lang/String;)Ljava/lang/Integer;", "static", str(t))
		c.add(true, boxBoolean, "parseBoolean", "(Ljava/lang/String;)Z", "static", str(t))
		c.add(false, boxBoolean, "valueOf", "(Ljava/lang/String;)Ljava/lang/Boolean;", "static", str(t))
		for _, base := range []int{10, 16} {
			b := c.add(false, bigInteger, "<init>", "(Ljava/lang/String;I)V", "new", str(t), num(base))
			if n, ok := new(big.Int).SetString(t, base); ok && !strings.ContainsAny(t, "_") {
				c.add(true, bigInteger, "toByteArray", "()[B", "virtual", b)
				c.add(true, bigInteger, "toString", "(I)Ljava/lang/String;", "virtual", b, num(base))
				c.add(true, bigInteger, "intValue", "()I", "virtual", b)
				c.add(true, bigInteger, "longValue", "()J", "virtual", b)
				sum := c.add(false, bigInteger, "multiply", "(Ljava/math/BigInteger;)Ljava/math/BigInteger;", "virtual", b, b)
				c.add(true, bigInteger, "toByteArray", "()[B", "virtual", sum)
				_ = n
			}
		}
	}
	c.add(true, boxInt, "parseInt", "(Ljava/lang/String;I)I", "static", str("-7f"), num(16))
	for range 40 {
		b := c.add(false, bigInteger, "<init>", "([B)V", "new", bytesOf(1+rng.Intn(12)))
		for _, name := range []string{"toString:Ljava/lang/String;", "toByteArray:[B", "intValue:I", "longValue:J"} {
			name, ret, _ := strings.Cut(name, ":")
			c.add(true, bigInteger, name, "()"+ret, "virtual", b)
		}
		d := c.add(false, bigInteger, "<init>", "(I[B)V", "new", num(rng.Intn(3)-1), bytesOf(rng.Intn(5)))
		for _, op := range []string{"add", "subtract", "xor", "and", "or", "mod"} {
			x := c.add(false, bigInteger, op, "(Ljava/math/BigInteger;)Ljava/math/BigInteger;", "virtual", b, d)
			_ = x
		}
		c.add(false, bigInteger, "toString", "(I)Ljava/lang/String;", "virtual", b, num(rng.Intn(40)))
	}
	// Arrays.
	const arrays = "Ljava/util/Arrays;"
	for range 20 {
		n := rng.Intn(20)
		a, b := bytesOf(n), bytesOf(n)
		c.add(true, arrays, "equals", "([B[B)Z", "static", a, b)
		c.add(true, arrays, "equals", "([B[B)Z", "static", a, a)
		c.add(true, arrays, "hashCode", "([B)I", "static", a)
		m := rng.Intn(30)
		c.add(true, arrays, "copyOf", "([BI)[B", "static", a, num(m))
		from := rng.Intn(25)
		c.add(from <= n, arrays, "copyOfRange", "([BII)[B", "static", a, num(from), num(from+rng.Intn(9)))
		c.add(false, arrays, "copyOfRange", "([BII)[B", "static", a, num(from), num(from-1))
		x := c.add(true, arrays, "copyOf", "([BI)[B", "static", a, num(20))
		c.add(false, arrays, "fill", "([BB)V", "static", x, num(-5))
		y := c.add(true, arrays, "copyOf", "([BI)[B", "static", x, num(22))
		c.add(false, arrays, "fill", "([BIIB)V", "static", y, num(2), num(4), num(7))
		c.add(false, "Ljava/lang/System;", "arraycopy", "(Ljava/lang/Object;ILjava/lang/Object;II)V", "static", y, num(1), y, num(3), num(12))
		c.add(true, arrays, "copyOf", "([BI)[B", "static", y, num(22))
		c.add(false, "Ljava/lang/System;", "arraycopy", "(Ljava/lang/Object;ILjava/lang/Object;II)V", "static", y, num(3), y, num(0), num(12))
		c.add(true, arrays, "copyOf", "([BI)[B", "static", y, num(22))
	}
	// Streams.
	const out, in = "Ljava/io/ByteArrayOutputStream;", "Ljava/io/ByteArrayInputStream;"
	o := c.add(false, out, "<init>", "()V", "new")
	c.add(true, out, "toByteArray", "()[B", "virtual", o)
	for i := range 6 {
		c.add(false, out, "write", "(I)V", "virtual", o, num(100*i+'a'))
		c.add(false, out, "write", "([BII)V", "virtual", o, bytesOf(6), num(i), num(6-i))
		c.add(false, "Ljava/io/OutputStream;", "write", "([B)V", "virtual", o, bytesOf(3))
		c.add(true, out, "toByteArray", "()[B", "virtual", o)
		c.add(true, out, "size", "()I", "virtual", o)
	}
	c.add(false, out, "reset", "()V", "virtual", o)
	c.add(false, "Ljava/io/OutputStream;", "write", "([B)V", "virtual", o, "B:6162")
	c.add(true, out, "toString", "()Ljava/lang/String;", "virtual", o)
	i := c.add(false, in, "<init>", "([BII)V", "new", "B:00f102030405060708", num(1), num(6))
	c.add(true, in, "available", "()I", "virtual", i)
	c.add(true, in, "read", "()I", "virtual", i)
	buf := c.add(true, arrays, "copyOf", "([BI)[B", "static", "B:", num(4))
	for range 4 {
		c.add(true, "Ljava/io/InputStream;", "read", "([B)I", "virtual", i, buf)
		c.add(true, arrays, "copyOf", "([BI)[B", "static", buf, num(4))
	}
	c.add(true, in, "read", "()I", "virtual", i)
	crc := c.add(false, "Ljava/util/zip/CRC32;", "<init>", "()V", "new")
	c.add(false, "Ljava/util/zip/CRC32;", "update", "([BII)V", "virtual", crc, "B:0102030405", num(1), num(3))
	c.add(true, "Ljava/util/zip/CRC32;", "getValue", "()J", "virtual", crc)
	// Base64.
	for _, kind := range []string{"", "Url", "Mime"} {
		const ed, dd = "Ljava/util/Base64$Encoder;", "Ljava/util/Base64$Decoder;"
		e := c.add(false, "Ljava/util/Base64;", "get"+kind+"Encoder", "()"+ed, "static")
		raw := c.add(false, ed, "withoutPadding", "()"+ed, "virtual", e)
		d := c.add(false, "Ljava/util/Base64;", "get"+kind+"Decoder", "()"+dd, "static")
		for n := range 130 {
			b := bytesOf(n)
			x := c.add(true, ed, "encodeToString", "([B)Ljava/lang/String;", "virtual", e, b)
			y := c.add(true, ed, "encode", "([B)[B", "virtual", raw, b)
			c.add(true, dd, "decode", "(Ljava/lang/String;)[B", "virtual", d, x)
			c.add(true, dd, "decode", "([B)[B", "virtual", d, y)
		}
		for _, t := range []string{"", "A", "AA", "AA=", "AA==", "AAA", "AAA=", "AAAA", "AAAA=", "AA=A", "A A A A", "AAA\n=", "AAB=", "AB==", "A+/_-A==", "====", "=", "AAAAA", "AA==AA==", "ä", "AAAA\r\nAAAA", "AA=\n="} {
			c.add(t == "AA" || t == "AB==", dd, "decode", "(Ljava/lang/String;)[B", "virtual", d, str(t))
		}
	}
	// Digests, MACs, keys, ciphers.
	const md, mac, ciph, spec, iv, gcm = "Ljava/security/MessageDigest;", "Ljavax/crypto/Mac;", "Ljavax/crypto/Cipher;", "Ljavax/crypto/spec/SecretKeySpec;", "Ljavax/crypto/spec/IvParameterSpec;", "Ljavax/crypto/spec/GCMParameterSpec;"
	for _, alg := range []string{"MD5", "SHA-1", "SHA1", "SHA", "sha-256", "SHA-384", "SHA-512", "SHA-224", "NONE"} {
		d := c.add(false, md, "getInstance", "(Ljava/lang/String;)Ljava/security/MessageDigest;", "static", str(alg))
		if alg == "NONE" {
			continue
		}
		c.add(true, md, "digest", "([B)[B", "virtual", d, bytesOf(40))
		c.add(false, md, "update", "([B)V", "virtual", d, bytesOf(100))
		c.add(false, md, "update", "(B)V", "virtual", d, num(-3))
		c.add(false, md, "update", "([BII)V", "virtual", d, bytesOf(100), num(10), num(50))
		c.add(true, md, "digest", "()[B", "virtual", d)
		c.add(false, md, "update", "([B)V", "virtual", d, bytesOf(10))
		c.add(false, md, "reset", "()V", "virtual", d)
		x := c.add(true, md, "digest", "()[B", "virtual", d)
		c.add(true, md, "isEqual", "([B[B)Z", "static", x, x)
	}
	for _, alg := range []string{"HmacMD5", "HmacSHA1", "HmacSHA256", "HmacSHA384", "hmacsha512"} {
		k := c.add(false, spec, "<init>", "([BLjava/lang/String;)V", "new", bytesOf(20), str(alg))
		c.add(true, "Ljava/security/Key;", "getEncoded", "()[B", "virtual", k)
		m := c.add(false, mac, "getInstance", "(Ljava/lang/String;)Ljavax/crypto/Mac;", "static", str(alg))
		c.add(false, mac, "init", "(Ljava/security/Key;)V", "virtual", m, k)
		c.add(false, mac, "update", "([B)V", "virtual", m, bytesOf(7))
		c.add(true, mac, "doFinal", "([B)[B", "virtual", m, bytesOf(7))
		c.add(true, mac, "doFinal", "([B)[B", "virtual", m, bytesOf(9))
	}
	for _, x := range []struct {
		name, alg       string
		key, iv, tag, n int
	}{
		{"AES/CBC/PKCS5Padding", "AES", 16, 16, 0, 0}, {"AES/CBC/PKCS5Padding", "AES", 32, 16, 0, 33}, {"AES/CBC/NoPadding", "AES", 24, 16, 0, 32}, {"AES/CBC/NoPadding", "AES", 16, 16, 0, 31},
		{"AES", "AES", 16, 0, 0, 20}, {"AES/ECB/PKCS5Padding", "AES", 16, 0, 0, 16}, {"aes/ecb/nopadding", "AES", 16, 0, 0, 48}, {"AES/ECB/NoPadding", "AES", 16, 0, 0, 5}, {"AES/CBC/PKCS5Padding", "AES", 15, 16, 0, 8},
		{"AES/CTR/NoPadding", "AES", 16, 16, 0, 37}, {"AES/GCM/NoPadding", "AES", 16, 12, 128, 21}, {"AES/GCM/NoPadding", "AES", 32, 12, 96, 21}, {"AES/GCM/NoPadding", "AES", 16, 16, 128, 3},
		{"DES/CBC/PKCS5Padding", "DES", 8, 8, 0, 13}, {"DES", "DES", 8, 0, 0, 13}, {"DESede/CBC/PKCS5Padding", "DESede", 24, 8, 0, 13}, {"DESede/ECB/NoPadding", "DESede", 24, 0, 0, 16}, {"RC4", "RC4", 16, 0, 0, 29}, {"ARCFOUR", "ARCFOUR", 5, 0, 0, 3},
		{"AES/CBC/PKCS5Padding", "AES", 16, 8, 0, 8}, {"AES/CFB/NoPadding", "AES", 16, 16, 0, 8},
	} {
		good := !(x.key == 15 || x.iv == 8 && x.alg == "AES" || x.name == "AES/CFB/NoPadding" || strings.EqualFold(x.name[max(0, len(x.name)-9):], "nopadding") && x.n%8 != 0 && (strings.Contains(x.name, "CBC") || strings.Contains(x.name, "ECB")))
		k := c.add(false, spec, "<init>", "([BLjava/lang/String;)V", "new", bytesOf(x.key), str(x.alg))
		data := bytesOf(x.n)
		var p string
		switch {
		case x.tag > 0:
			p = c.add(false, gcm, "<init>", "(I[B)V", "new", num(x.tag), bytesOf(x.iv))
		case x.iv > 0:
			p = c.add(false, iv, "<init>", "([B)V", "new", bytesOf(x.iv))
		}
		for _, mode := range []int{1, 2} {
			h := c.add(false, ciph, "getInstance", "(Ljava/lang/String;)Ljavax/crypto/Cipher;", "static", str(x.name))
			if p != "" {
				c.add(false, ciph, "init", "(ILjava/security/Key;Ljava/security/spec/AlgorithmParameterSpec;)V", "virtual", h, num(mode), k, p)
			} else {
				c.add(false, ciph, "init", "(ILjava/security/Key;)V", "virtual", h, num(mode), k)
			}
			data = c.add(good, ciph, "doFinal", "([B)[B", "virtual", h, data)
		}
	}
	f := c.add(false, "Ljavax/crypto/SecretKeyFactory;", "getInstance", "(Ljava/lang/String;)Ljavax/crypto/SecretKeyFactory;", "static", str("PBKDF2WithHmacSHA256"))
	p := c.add(false, "Ljavax/crypto/spec/PBEKeySpec;", "<init>", "([C[BII)V", "new", "C:00700061007300e4", bytesOf(8), num(1000), num(256))
	k := c.add(false, "Ljavax/crypto/SecretKeyFactory;", "generateSecret", "(Ljava/security/spec/KeySpec;)Ljavax/crypto/SecretKey;", "virtual", f, p)
	c.add(true, "Ljava/security/Key;", "getEncoded", "()[B", "virtual", k)
	return c
}

// TestEvaluateAgainstJava makes the calls of a long script here and in a real Java. What is known here must be what
// Java gives, and what Java refuses must not be known.
func TestEvaluateAgainstJava(t *testing.T) {
	if _, err := exec.LookPath("javac"); err != nil {
		t.Skip("no java here")
	}
	c := theScript()
	cmd := exec.Command("java", "-XX:TieredStopAtLevel=1", "testdata/oracle/Oracle.java")
	cmd.Stdin = strings.NewReader(strings.Join(c.lines, "\n") + "\n")
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(raw), "\n"), "\n")
	if len(want) != len(c.lines) {
		t.Fatalf("%d calls, %d answers", len(c.lines), len(want))
	}
	m := newMachine(t)
	known := 0
	for i, line := range c.lines {
		got := m.say(m.call(line))
		switch {
		case strings.HasPrefix(want[i], "no such"):
			t.Errorf("%s: %s", line, want[i])
		case got == "?":
			if c.must[i] && want[i] != "!" {
				t.Errorf("line %d: %s: not known; Java says %s", i, readable(line), readable(want[i]))
			}
		case got != want[i] && !(got == "i:0" && want[i] == "n"):
			t.Errorf("line %d: %s: %s; Java says %s", i, readable(line), readable(got), readable(want[i]))
		default:
			known++
		}
	}
	t.Logf("%d calls, %d known", len(c.lines), known)
}

// readable shows the texts of a line.
func readable(line string) string {
	f := strings.Split(line, "\t")
	for i, w := range f {
		if h, ok := strings.CutPrefix(w, "s:"); ok {
			f[i] = strconv.Quote(fromUnits(unitsOf(h)))
		}
	}
	return strings.Join(f, " ")
}

// android.util.Base64 is not Java's: cases by its own tests and source.
func TestAndroidBase64(t *testing.T) {
	for _, x := range []struct {
		in    string
		flags int64
		want  string
		ok    bool
	}{
		{"", 0, "", true}, {"YQ==", 0, "a", true}, {"YQ", 0, "a", true}, {"YQ=", 0, "", false}, {"YWI=", 0, "ab", true}, {"YWI", 0, "ab", true}, {"YWJj", 0, "abc", true},
		{"Y W\nJ\rj", 0, "abc", true}, {"YWJjY", 0, "", false}, {"=", 0, "", false}, {"YWJj=", 0, "", false}, {"YQ==YQ==", 0, "", false}, {"YQ==\n", 0, "a", true}, {"YQ=\n=", 0, "a", true},
		{"-_-_", 0, "", true}, {"-_-_", 8, "\xfb\xff\xbf", true}, {"+/+/", 0, "\xfb\xff\xbf", true}, {"+/+/", 8, "", true}, {"Y", 0, "", false}, {"YWI==", 0, "", false}, {"ä", 0, "", true},
	} {
		got, ok := androidDecode([]byte(x.in), x.flags)
		if ok != x.ok || ok && string(got) != x.want {
			t.Errorf("decode %q, %d: %q %v, want %q %v", x.in, x.flags, got, ok, x.want, x.ok)
		}
	}
	for _, x := range []struct {
		n     int
		flags int64
		want  string
	}{{0, 0, ""}, {1, 0, "eA==\n"}, {1, 1, "eA\n"}, {1, 2, "eA=="}, {1, 3, "eA"}, {1, 4, "eA==\r\n"}, {57, 0, strings.Repeat("eHh4", 19) + "\n"}, {58, 0, strings.Repeat("eHh4", 19) + "\neA==\n"}} {
		if got := androidEncode(bytes.Repeat([]byte("x"), x.n), x.flags); got != x.want {
			t.Errorf("encode %d, %d: %q, want %q", x.n, x.flags, got, x.want)
		}
	}
}

// What is not known stays unknown, and no label is lost on the way.
func TestEvaluateUnknown(t *testing.T) {
	m := newMachine(t)
	label := m.r.mark("extra", "secret", "", false, nil)
	secret := value{taint: label, typ: m.sym("[B")}
	m.results = []value{secret, {taint: label, typ: m.sym(strs)}}
	for _, lines := range []string{
		`Ljava/security/MessageDigest;	getInstance	(Ljava/lang/String;)Ljava/security/MessageDigest;	static	` + str("SHA-256") + `
Ljava/security/MessageDigest;	update	([B)V	virtual	$2	B:0102
Ljava/security/MessageDigest;	update	([B)V	virtual	$2	$0
Ljava/security/MessageDigest;	update	([B)V	virtual	$2	B:0102
Ljava/security/MessageDigest;	digest	()[B	virtual	$2`,
		`Ljava/io/ByteArrayOutputStream;	<init>	()V	new
Ljava/io/OutputStream;	write	([B)V	virtual	$2	B:0102
Ljava/io/OutputStream;	write	([B)V	virtual	$2	$0
Ljava/io/ByteArrayOutputStream;	toByteArray	()[B	virtual	$2`,
		`Ljavax/crypto/spec/SecretKeySpec;	<init>	([BLjava/lang/String;)V	new	$0	` + str("AES") + `
Ljavax/crypto/Cipher;	getInstance	(Ljava/lang/String;)Ljavax/crypto/Cipher;	static	` + str("AES") + `
Ljavax/crypto/Cipher;	init	(ILjava/security/Key;)V	virtual	$3	i:1	$2
Ljavax/crypto/Cipher;	doFinal	([B)[B	virtual	$3	B:00`,
		`Ljava/lang/String;	getBytes	()[B	virtual	$1
Landroid/util/Base64;	encodeToString	([BI)Ljava/lang/String;	static	$2	i:2`,
		`Ljava/lang/String;	format	(Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/String;	static	` + str("/data/%s") + `	O:1	$1`,
		`Ljava/math/BigInteger;	<init>	(I[B)V	new	i:1	$0
Ljava/math/BigInteger;	toString	(I)Ljava/lang/String;	virtual	$2	i:16`,
		`Ljava/lang/StringBuilder;	<init>	(Ljava/lang/String;)V	new	` + str("abc") + `
Ljava/lang/StringBuilder;	insert	(ILjava/lang/String;)Ljava/lang/StringBuilder;	virtual	$2	i:1	$1
Ljava/lang/StringBuilder;	deleteCharAt	(I)Ljava/lang/StringBuilder;	virtual	$2	i:1
Ljava/lang/StringBuilder;	toString	()Ljava/lang/String;	virtual	$2`,
		`Ljava/util/Arrays;	copyOf	([BI)[B	static	$0	i:3`,
		`Ljava/util/Arrays;	equals	([B[B)Z	static	$0	B:01`,
	} {
		m.results = m.results[:2]
		var v value
		for line := range strings.SplitSeq(lines, "\n") {
			v = m.call(line)
		}
		if got := m.say(v); got != "?" && !(v.kind == object && got == "?") {
			t.Errorf("%s\nis %s", lines, readable(got))
		}
		if l := m.r.deep(m.cur.heap, v); m.r.labelSets.intersect(l, label) == 0 {
			t.Errorf("%s\nhas lost its label", lines)
		}
	}
	// What can change unseen is known no longer.
	buf := m.call("Ljava/util/Arrays;\tcopyOf\t([BI)[B\tstatic\tB:0102\ti:2")
	at := "$" + strconv.Itoa(len(m.results)-1)
	m.call("Ljava/security/SecureRandom;\t<init>\t()V\tnew")
	m.call("Ljava/security/SecureRandom;\tnextBytes\t([B)V\tvirtual\t$" + strconv.Itoa(len(m.results)-1) + "\t" + at)
	if got := m.say(buf); got != "?" {
		t.Errorf("random bytes are %s", got)
	}
	o := m.call("Ljava/io/ByteArrayOutputStream;\t<init>\t()V\tnew")
	at = "$" + strconv.Itoa(len(m.results)-1)
	if got := m.say(m.call("Ljava/io/ByteArrayOutputStream;\ttoByteArray\t()[B\tvirtual\t" + at)); got != "B:" {
		t.Errorf("a new stream holds %s", got)
	}
	m.call("Ljava/util/zip/GZIPOutputStream;\t<init>\t(Ljava/io/OutputStream;)V\tnew\t" + at)
	if got := m.say(m.call("Ljava/io/ByteArrayOutputStream;\ttoByteArray\t()[B\tvirtual\t" + at)); got != "?" {
		t.Errorf("a stream that another writes to holds %s, %v", got, o)
	}
}

// A Signature is an object that holds the bytes of a certificate; 4 KB must go through it and back.
func TestSignature(t *testing.T) {
	m := newMachine(t)
	der := make([]byte, 4096)
	rand.New(rand.NewSource(2)).Read(der)
	before := m.r.steps
	m.call("Landroid/content/pm/Signature;\t<init>\t([B)V\tnew\tB:" + hex.EncodeToString(der))
	if got := m.say(m.call("Landroid/content/pm/Signature;\ttoByteArray\t()[B\tvirtual\t$0")); got != "B:"+hex.EncodeToString(der) {
		t.Errorf("the bytes are not the certificate's: %.40s", got)
	}
	if got := m.say(m.call("Landroid/content/pm/Signature;\ttoCharsString\t()Ljava/lang/String;\tvirtual\t$0")); got != str(hex.EncodeToString(der)) {
		t.Errorf("the text is not the certificate's: %.40s", got)
	}
	m.call("Ljava/io/ByteArrayInputStream;\t<init>\t([B)V\tnew\t$1")
	m.call("Ljava/security/cert/CertificateFactory;\tgenerateCertificate\t(Ljava/io/InputStream;)Ljava/security/cert/Certificate;\tvirtual\tn\t$3")
	m.call("Ljava/security/cert/Certificate;\tgetEncoded\t()[B\tvirtual\t$4")
	m.call("Ljava/security/MessageDigest;\tgetInstance\t(Ljava/lang/String;)Ljava/security/MessageDigest;\tstatic\t" + str("SHA-256"))
	sum := sha256.Sum256(der)
	if got := m.say(m.call("Ljava/security/MessageDigest;\tdigest\t([B)[B\tvirtual\t$6\t$5")); got != "B:"+hex.EncodeToString(sum[:]) {
		t.Errorf("the digest is %s", got)
	}
	m.call("Landroid/content/pm/Signature;\t<init>\t(Ljava/lang/String;)V\tnew\t" + str(hex.EncodeToString(der)))
	if got := m.say(m.call("Landroid/content/pm/Signature;\tequals\t(Ljava/lang/Object;)Z\tvirtual\t$0\t$8")); got != "i:1" {
		t.Errorf("the same certificate compares as %s", got)
	}
	m.call("Landroid/content/pm/Signature;\t<init>\t(Ljava/lang/String;)V\tnew\t" + str("3082"))
	if got := m.say(m.call("Landroid/content/pm/Signature;\tequals\t(Ljava/lang/Object;)Z\tvirtual\t$0\t$10")); got != "i:0" {
		t.Errorf("another certificate compares as %s", got)
	}
	if n := m.r.steps - before; n > maxSteps/12 {
		t.Errorf("4 KB took %d steps", n)
	}
}

// A heap made at once is the one that would have been made step by step.
func TestSpan(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 64, 100, 1000} {
		var one *heap
		for i := range n {
			one = one.set(fieldKey(9, indexKey(int64(i))), intVal(int64(i)))
		}
		all := span(9, 0, n, func(i int) value { return intVal(int64(i)) })
		if !sameShape(one, all) {
			t.Fatalf("%d elements make another heap", n)
		}
	}
}

func sameShape(a, b *heap) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.key == b.key && a.mask == b.mask && a.val == b.val && (a.mask == 0 || sameShape(a.left, b.left) && sameShape(a.right, b.right))
}

// FuzzEvaluate calls what takes texts apart with any text. Nothing fails within; what can be turned back is.
func FuzzEvaluate(f *testing.F) {
	f.Add("%s %5d %-3x%c", "a,b,,c", "QUJD", int64(3))
	f.Add("%1$s%<s%n%%", "\xed\xa0\xb4\xed\xb4\x9e", "QQ==\n", int64(-1))
	f.Add("%0", "ä€𝄞", "=", int64(1<<40))
	f.Add("%999999999999s", "\xff", "0x7f", int64(16))
	m := newMachine(f)
	f.Fuzz(func(t *testing.T, form, a, b string, n int64) {
		if len(form)+len(a)+len(b) > 4096 {
			t.Skip()
		}
		m = newMachine(t)
		v, w := m.r.text(a), m.r.text(b)
		i := intVal(n)
		m.results = []value{v, w, i, m.r.text(form)}
		arr := m.call("Ljava/lang/String;\tgetBytes\t()[B\tvirtual\t$0")
		if back, ok := m.r.bytes(m.cur, arr); ok && utf8.ValidString(a) && string(back) != a {
			t.Errorf("%q has the bytes %q", a, back)
		}
		for _, line := range []string{
			strs + "\tformat\t(Ljava/lang/String;[Ljava/lang/Object;)Ljava/lang/String;\tstatic\t$3\tO:3\t$0\tx:Integer:" + strconv.FormatInt(int64(int32(n)), 10) + "\t$1",
			strs + "\tsplit\t(Ljava/lang/String;I)[Ljava/lang/String;\tvirtual\t$0\t$1\t$2",
			strs + "\treplaceAll\t(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;\tvirtual\t$0\t$1\t$3",
			strs + "\tindexOf\t(Ljava/lang/String;I)I\tvirtual\t$0\t$1\t$2",
			strs + "\tlastIndexOf\t(Ljava/lang/String;I)I\tvirtual\t$0\t$1\t$2",
			strs + "\tsubstring\t(II)Ljava/lang/String;\tvirtual\t$0\t$2\t$2",
			strs + "\tcharAt\t(I)C\tvirtual\t$0\t$2",
			strs + "\ttoCharArray\t()[C\tvirtual\t$0",
			strs + "\thashCode\t()I\tvirtual\t$0",
			boxInt + "\tdecode\t(Ljava/lang/String;)Ljava/lang/Integer;\tstatic\t$1",
			boxInt + "\tparseInt\t(Ljava/lang/String;I)I\tstatic\t$1\t$2",
			boxInt + "\ttoString\t(II)Ljava/lang/String;\tstatic\t$2\t$2",
			bigInteger + "\t<init>\t(Ljava/lang/String;I)V\tnew\t$1\t$2",
			"Landroid/util/Base64;\tdecode\t(Ljava/lang/String;I)[B\tstatic\t$1\t$2",
			"Landroid/content/pm/Signature;\t<init>\t(Ljava/lang/String;)V\tnew\t$1",
			"Ljava/util/Arrays;\tcopyOfRange\t([BII)[B\tstatic\t$4\t$2\ti:9",
			classBuilder + "\t<init>\t(Ljava/lang/String;)V\tnew\t$0",
		} {
			m.call(line)
		}
		sb := "$" + strconv.Itoa(len(m.results)-1)
		for _, line := range []string{"setLength\t(I)V\tvirtual\t" + sb + "\t$2", "insert\t(ILjava/lang/String;)Ljava/lang/StringBuilder;\tvirtual\t" + sb + "\t$2\t$1", "delete\t(II)Ljava/lang/StringBuilder;\tvirtual\t" + sb + "\ti:1\t$2",
			"setCharAt\t(IC)V\tvirtual\t" + sb + "\t$2\ti:55296", "reverse\t()Ljava/lang/StringBuilder;\tvirtual\t" + sb} {
			m.call(classBuilder + "\t" + line)
		}
		if u, ok := utf16Units(a); ok {
			if back := fromUnits(u); utf8.ValidString(a) && back != a {
				t.Errorf("%q comes back as %q", a, back)
			}
			if l, _ := utf16Length(a); l != len(u) {
				t.Errorf("%q: length %d and %d", a, l, len(u))
			}
			if utf8.ValidString(a) && !slices.Equal(u, utf16.Encode([]rune(a))) {
				t.Errorf("%q: units %x", a, u)
			}
			for k := range u {
				if j, ok := utf16Offset(a, int64(k)); ok && joinText(a[:j], a[j:]) != a && utf8.ValidString(a) {
					t.Errorf("%q: cut at %d", a, j)
				}
			}
		}
		for flags := range int64(16) {
			if back, ok := androidDecode([]byte(androidEncode([]byte(a), flags)), flags); !ok || string(back) != a {
				t.Errorf("%q, %d: decoded as %q %v", a, flags, back, ok)
			}
		}
		for _, k := range []string{"AES/CBC/PKCS5Padding", "AES/ECB/NoPadding", "AES/GCM/NoPadding", "DES", "RC4", form} {
			crypt(k, n&1 == 0, []byte(a), []byte(b), int(uint16(n)), []byte(form))
			key, iv := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
			if c, ok := crypt(k, false, key[:16], iv[:16], 128, []byte(form)); ok {
				if d, ok := crypt(k, true, key[:16], iv[:16], 128, c); !ok || string(d) != form {
					t.Errorf("%s of %q comes back as %q %v", k, form, d, ok)
				}
			}
		}
		if c := fromTwos([]byte(a)); len(a) > 0 && fromTwos(twos(c)).Cmp(c) != 0 {
			t.Errorf("%x comes back as %x", c, twos(c))
		}
	})
}

// Go's own library as a second opinion on what phones ship most: a key, a text in Base64, AES-CBC.
func TestCryptAgainstGo(t *testing.T) {
	key, iv, plain := []byte("0123456789abcdef"), []byte("fedcba9876543210"), []byte("pm install -r /sdcard/x.apk")
	padded := append(slices.Clone(plain), bytes.Repeat([]byte{5}, 5)...)
	b, _ := aes.NewCipher(key)
	cipher.NewCBCEncrypter(b, iv).CryptBlocks(padded, padded)
	in, ok := androidDecode([]byte(base64.StdEncoding.EncodeToString(padded)), 0)
	if !ok {
		t.Fatal("Base64 is not decoded")
	}
	if got, ok := crypt("AES/CBC/PKCS5Padding", true, key, iv, 0, in); !ok || !bytes.Equal(got, plain) {
		t.Errorf("%q %v", got, ok)
	}
	if got, ok := crypt("AES/CBC/PKCS5Padding", true, iv, key, 0, in); ok {
		t.Errorf("with another key: %q", got)
	}
}

// BenchmarkDigestOfCertificate is what it takes to know who signed an app: the array of its certificate, and its digest.
func BenchmarkDigestOfCertificate(b *testing.B) {
	m := newMachine(b)
	der := strings.Repeat("a5", 1500)
	b.ReportAllocs()
	for b.Loop() {
		m.results, m.cur.heap = m.results[:0], nil
		clear(m.f.passes)
		m.call("Landroid/content/pm/Signature;\t<init>\t([B)V\tnew\tB:" + der)
		m.call("Landroid/content/pm/Signature;\ttoByteArray\t()[B\tvirtual\t$0")
		m.call("Ljava/security/MessageDigest;\tgetInstance\t(Ljava/lang/String;)Ljava/security/MessageDigest;\tstatic\t" + str("SHA-256"))
		m.call("Ljava/security/MessageDigest;\tdigest\t([B)[B\tvirtual\t$2\t$1")
	}
}
