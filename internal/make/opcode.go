package make

import (
	"strconv"
	"strings"
)

// An opcode is one instruction of the Dalvik instruction set. format is its layout, in the names of
// "Dalvik executable instruction formats" (source.android.com); ref says what its index refers to.
type opcode struct {
	value  uint8
	name   string
	format string
	ref    byte
}

// What an instruction's index refers to.
const (
	refNone     = '-'
	refString   = 's'
	refType     = 't'
	refField    = 'f'
	refMethod   = 'm'
	refProto    = 'p'
	refHandle   = 'h'
	refCallSite = 'c'
	refOffset   = 'o' // field@N: byte offset of a field, quickened code
	refVtable   = 'v' // vtable@N: slot of a method, quickened code
)

// instructionSet lists value of the first, format, reference and then the mnemonics of consecutive
// opcodes. Source: "Dalvik bytecode" (source.android.com) for DEX 035 to 039; the quickened ones (73, e3 to
// f2) as art/libdexfile/dex/dex_instruction_list.h has them, by the names baksmali prints.
const instructionSet = `
00 10x - nop
01 12x - move
02 22x - move/from16
03 32x - move/16
04 12x - move-wide
05 22x - move-wide/from16
06 32x - move-wide/16
07 12x - move-object
08 22x - move-object/from16
09 32x - move-object/16
0a 11x - move-result move-result-wide move-result-object move-exception
0e 10x - return-void
0f 11x - return return-wide return-object
12 11n - const/4
13 21s - const/16
14 31i - const
15 21h - const/high16
16 21s - const-wide/16
17 31i - const-wide/32
18 51l - const-wide
19 21h - const-wide/high16
1a 21c s const-string
1b 31c s const-string/jumbo
1c 21c t const-class
1d 11x - monitor-enter monitor-exit
1f 21c t check-cast
20 22c t instance-of
21 12x - array-length
22 21c t new-instance
23 22c t new-array
24 35c t filled-new-array
25 3rc t filled-new-array/range
26 31t - fill-array-data
27 11x - throw
28 10t - goto
29 20t - goto/16
2a 30t - goto/32
2b 31t - packed-switch sparse-switch
2d 23x - cmpl-float cmpg-float cmpl-double cmpg-double cmp-long
32 22t - if-eq if-ne if-lt if-ge if-gt if-le
38 21t - if-eqz if-nez if-ltz if-gez if-gtz if-lez
44 23x - aget aget-wide aget-object aget-boolean aget-byte aget-char aget-short
4b 23x - aput aput-wide aput-object aput-boolean aput-byte aput-char aput-short
52 22c f iget iget-wide iget-object iget-boolean iget-byte iget-char iget-short
59 22c f iput iput-wide iput-object iput-boolean iput-byte iput-char iput-short
60 21c f sget sget-wide sget-object sget-boolean sget-byte sget-char sget-short
67 21c f sput sput-wide sput-object sput-boolean sput-byte sput-char sput-short
6e 35c m invoke-virtual invoke-super invoke-direct invoke-static invoke-interface
73 10x - return-void-no-barrier
74 3rc m invoke-virtual/range invoke-super/range invoke-direct/range invoke-static/range invoke-interface/range
7b 12x - neg-int not-int neg-long not-long neg-float neg-double
81 12x - int-to-long int-to-float int-to-double long-to-int long-to-float long-to-double
87 12x - float-to-int float-to-long float-to-double double-to-int double-to-long double-to-float
8d 12x - int-to-byte int-to-char int-to-short
90 23x - add-int sub-int mul-int div-int rem-int and-int or-int xor-int shl-int shr-int ushr-int
9b 23x - add-long sub-long mul-long div-long rem-long and-long or-long xor-long shl-long shr-long ushr-long
a6 23x - add-float sub-float mul-float div-float rem-float add-double sub-double mul-double div-double rem-double
b0 12x - add-int/2addr sub-int/2addr mul-int/2addr div-int/2addr rem-int/2addr and-int/2addr or-int/2addr xor-int/2addr
b8 12x - shl-int/2addr shr-int/2addr ushr-int/2addr
bb 12x - add-long/2addr sub-long/2addr mul-long/2addr div-long/2addr rem-long/2addr and-long/2addr or-long/2addr xor-long/2addr
c3 12x - shl-long/2addr shr-long/2addr ushr-long/2addr
c6 12x - add-float/2addr sub-float/2addr mul-float/2addr div-float/2addr rem-float/2addr
cb 12x - add-double/2addr sub-double/2addr mul-double/2addr div-double/2addr rem-double/2addr
d0 22s - add-int/lit16 rsub-int mul-int/lit16 div-int/lit16 rem-int/lit16 and-int/lit16 or-int/lit16 xor-int/lit16
d8 22b - add-int/lit8 rsub-int/lit8 mul-int/lit8 div-int/lit8 rem-int/lit8 and-int/lit8 or-int/lit8 xor-int/lit8
e0 22b - shl-int/lit8 shr-int/lit8 ushr-int/lit8
e3 22c o iget-quick iget-wide-quick iget-object-quick iput-quick iput-wide-quick iput-object-quick
e9 35c v invoke-virtual-quick
ea 3rc v invoke-virtual-quick/range
eb 22c o iput-boolean-quick iput-byte-quick iput-char-quick iput-short-quick
ef 22c o iget-boolean-quick iget-byte-quick iget-char-quick iget-short-quick
fa 45cc m invoke-polymorphic
fb 4rcc m invoke-polymorphic/range
fc 35c c invoke-custom
fd 3rc c invoke-custom/range
fe 21c h const-method-handle
ff 21c p const-method-type
`

var opcodes = func() map[string]*opcode {
	set := map[string]*opcode{}
	for line := range strings.Lines(strings.TrimSpace(instructionSet)) {
		w := strings.Fields(line)
		v, err := strconv.ParseUint(w[0], 16, 8)
		if err != nil {
			panic(err)
		}
		for i, name := range w[3:] {
			set[name] = &opcode{uint8(v) + uint8(i), name, w[1], w[2][0]}
		}
	}
	return set
}()

// units returns the size in 16-bit code units, which the format's first digit is.
func (o *opcode) units() uint32 { return uint32(o.format[0] - '0') }
