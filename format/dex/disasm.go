package dex

import "strconv"

// Disassemble returns in as a line of text in the manner of baksmali, with registers by number and code addresses as four or more hex
// digits after a colon:
//
//	invoke-virtual {v0, v1}, Ljava/lang/Runtime;->exec(Ljava/lang/String;)Ljava/lang/Process;
//	if-eqz v0, :0012
//
// An index the file does not have is printed with its kind: "method@ffff". Strings are quoted as Go does; names are as the file has them and
// unfit for a terminal until escaped.
func (f *File) Disassemble(in *Insn) string { return string(f.AppendInsn(make([]byte, 0, 128), in)) }

// AppendInsn appends what Disassemble returns.
func (f *File) AppendInsn(b []byte, in *Insn) []byte {
	b = append(b, in.Op.String()...)
	switch in.Op.Format() {
	case Format10x:
		if in.Op == OpUnused {
			b = append(b, " op"...)
			b = appendHex(b, uint64(in.Index), 2)
		}
	case Format12x, Format22x, Format32x:
		b = appendRegs(b, in.A, in.B)
	case Format11x:
		b = appendRegs(b, in.A)
	case Format11n, Format21s, Format21h, Format31i, Format51l:
		b = appendRegs(b, in.A)
		b = appendLit(b, in.Lit)
	case Format10t, Format20t, Format30t:
		b = append(b, " :"...)
		b = appendHex(b, uint64(in.Target), 4)
	case Format21t, Format31t:
		b = appendRegs(b, in.A)
		b = append(b, ", :"...)
		b = appendHex(b, uint64(in.Target), 4)
	case Format22t:
		b = appendRegs(b, in.A, in.B)
		b = append(b, ", :"...)
		b = appendHex(b, uint64(in.Target), 4)
	case Format23x:
		b = appendRegs(b, in.A, in.B, in.C)
	case Format22b, Format22s:
		b = appendRegs(b, in.A, in.B)
		b = appendLit(b, in.Lit)
	case Format21c, Format31c:
		b = appendRegs(b, in.A)
		b = f.appendIndex(append(b, ", "...), in)
	case Format22c:
		b = appendRegs(b, in.A, in.B)
		b = f.appendIndex(append(b, ", "...), in)
	case Format35c, Format45cc:
		b = append(b, " {"...)
		for k := range int(in.A) {
			if k > 0 {
				b = append(b, ", "...)
			}
			b = appendReg(b, in.Arg(k))
		}
		b = f.appendIndex(append(b, "}, "...), in)
	case Format3rc, Format4rcc:
		b = append(b, " {"...)
		if in.A > 0 {
			b = appendReg(b, in.C)
			b = append(b, " .. "...)
			b = appendReg(b, in.Arg(int(in.A)-1))
		}
		b = f.appendIndex(append(b, "}, "...), in)
	}
	return b
}

func appendReg(b []byte, r uint32) []byte {
	return strconv.AppendUint(append(b, 'v'), uint64(r), 10)
}

func appendRegs(b []byte, regs ...uint32) []byte {
	for i, r := range regs {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendReg(append(b, ' '), r)
	}
	return b
}

func appendLit(b []byte, v int64) []byte {
	b = append(b, ", "...)
	u := uint64(v)
	if v < 0 {
		b = append(b, '-')
		u = -u
	}
	return appendHex(append(b, "0x"...), u, 1)
}

func appendHex(b []byte, v uint64, digits int) []byte {
	for n := 4 * (digits - 1); n > 0 && v>>n == 0; n -= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, v, 16)
}

func (f *File) appendIndex(b []byte, in *Insn) []byte {
	n := len(b)
	kind := ""
	switch in.Op.IndexKind() {
	case IndexString:
		kind = "string@"
		if uint64(in.Index) < uint64(f.strings.size) {
			b = strconv.AppendQuote(b, f.String(in.Index))
		}
	case IndexType:
		kind = "type@"
		b = f.appendType(b, in.Index)
	case IndexField:
		kind = "field@"
		b = f.appendField(b, in.Index, "->")
	case IndexMethod:
		kind = "method@"
		b = f.appendMethod(b, in.Index, "->", "")
		if in.Op == OpInvokePolymorphic || in.Op == OpInvokePolymorphicRange {
			if len(b) == n {
				b = appendHex(append(b, kind...), uint64(in.Index), 4)
			}
			b = f.AppendProto(append(b, ", "...), in.Proto)
		}
	case IndexProto:
		kind = "proto@"
		if uint64(in.Index) < uint64(f.protos.size) {
			b = f.AppendProto(b, in.Index)
		}
	case IndexCallSite:
		kind = "call_site@"
	case IndexHandle:
		kind = "method_handle@"
	case IndexQuickField:
		kind = "offset@"
	case IndexVtable:
		kind = "vtable@"
	}
	if len(b) == n {
		b = appendHex(append(b, kind...), uint64(in.Index), 4)
	}
	return b
}
