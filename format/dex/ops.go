package dex

// The opcodes, their names and formats are those of the Dalvik bytecode specification
// (https://source.android.com/docs/core/runtime/dalvik-bytecode). 0x73 and 0xe3 to 0xf2 are the ones ART's
// compiler writes into code it has quickened, numbered the same in Android 5 to 11
// (art/runtime/dex_instruction_list.h, later art/libdexfile/dex/dex_instruction_list.h).
const (
	OpNop                     Op = 0x00
	OpMove                    Op = 0x01
	OpMoveFrom16              Op = 0x02
	OpMove16                  Op = 0x03
	OpMoveWide                Op = 0x04
	OpMoveWideFrom16          Op = 0x05
	OpMoveWide16              Op = 0x06
	OpMoveObject              Op = 0x07
	OpMoveObjectFrom16        Op = 0x08
	OpMoveObject16            Op = 0x09
	OpMoveResult              Op = 0x0a
	OpMoveResultWide          Op = 0x0b
	OpMoveResultObject        Op = 0x0c
	OpMoveException           Op = 0x0d
	OpReturnVoid              Op = 0x0e
	OpReturn                  Op = 0x0f
	OpReturnWide              Op = 0x10
	OpReturnObject            Op = 0x11
	OpConst4                  Op = 0x12
	OpConst16                 Op = 0x13
	OpConst                   Op = 0x14
	OpConstHigh16             Op = 0x15
	OpConstWide16             Op = 0x16
	OpConstWide32             Op = 0x17
	OpConstWide               Op = 0x18
	OpConstWideHigh16         Op = 0x19
	OpConstString             Op = 0x1a
	OpConstStringJumbo        Op = 0x1b
	OpConstClass              Op = 0x1c
	OpMonitorEnter            Op = 0x1d
	OpMonitorExit             Op = 0x1e
	OpCheckCast               Op = 0x1f
	OpInstanceOf              Op = 0x20
	OpArrayLength             Op = 0x21
	OpNewInstance             Op = 0x22
	OpNewArray                Op = 0x23
	OpFilledNewArray          Op = 0x24
	OpFilledNewArrayRange     Op = 0x25
	OpFillArrayData           Op = 0x26
	OpThrow                   Op = 0x27
	OpGoto                    Op = 0x28
	OpGoto16                  Op = 0x29
	OpGoto32                  Op = 0x2a
	OpPackedSwitch            Op = 0x2b
	OpSparseSwitch            Op = 0x2c
	OpCmplFloat               Op = 0x2d
	OpCmpgFloat               Op = 0x2e
	OpCmplDouble              Op = 0x2f
	OpCmpgDouble              Op = 0x30
	OpCmpLong                 Op = 0x31
	OpIfEq                    Op = 0x32
	OpIfNe                    Op = 0x33
	OpIfLt                    Op = 0x34
	OpIfGe                    Op = 0x35
	OpIfGt                    Op = 0x36
	OpIfLe                    Op = 0x37
	OpIfEqz                   Op = 0x38
	OpIfNez                   Op = 0x39
	OpIfLtz                   Op = 0x3a
	OpIfGez                   Op = 0x3b
	OpIfGtz                   Op = 0x3c
	OpIfLez                   Op = 0x3d
	OpUnused                  Op = 0x3e // any opcode ART does not know; Insn.Index is the opcode byte
	OpPackedSwitchPayload     Op = 0x41 // pseudo opcode: the table of a packed-switch
	OpSparseSwitchPayload     Op = 0x42 // pseudo opcode: the table of a sparse-switch
	OpFillArrayDataPayload    Op = 0x43 // pseudo opcode: the data of a fill-array-data
	OpAget                    Op = 0x44
	OpAgetWide                Op = 0x45
	OpAgetObject              Op = 0x46
	OpAgetBoolean             Op = 0x47
	OpAgetByte                Op = 0x48
	OpAgetChar                Op = 0x49
	OpAgetShort               Op = 0x4a
	OpAput                    Op = 0x4b
	OpAputWide                Op = 0x4c
	OpAputObject              Op = 0x4d
	OpAputBoolean             Op = 0x4e
	OpAputByte                Op = 0x4f
	OpAputChar                Op = 0x50
	OpAputShort               Op = 0x51
	OpIget                    Op = 0x52
	OpIgetWide                Op = 0x53
	OpIgetObject              Op = 0x54
	OpIgetBoolean             Op = 0x55
	OpIgetByte                Op = 0x56
	OpIgetChar                Op = 0x57
	OpIgetShort               Op = 0x58
	OpIput                    Op = 0x59
	OpIputWide                Op = 0x5a
	OpIputObject              Op = 0x5b
	OpIputBoolean             Op = 0x5c
	OpIputByte                Op = 0x5d
	OpIputChar                Op = 0x5e
	OpIputShort               Op = 0x5f
	OpSget                    Op = 0x60
	OpSgetWide                Op = 0x61
	OpSgetObject              Op = 0x62
	OpSgetBoolean             Op = 0x63
	OpSgetByte                Op = 0x64
	OpSgetChar                Op = 0x65
	OpSgetShort               Op = 0x66
	OpSput                    Op = 0x67
	OpSputWide                Op = 0x68
	OpSputObject              Op = 0x69
	OpSputBoolean             Op = 0x6a
	OpSputByte                Op = 0x6b
	OpSputChar                Op = 0x6c
	OpSputShort               Op = 0x6d
	OpInvokeVirtual           Op = 0x6e
	OpInvokeSuper             Op = 0x6f
	OpInvokeDirect            Op = 0x70
	OpInvokeStatic            Op = 0x71
	OpInvokeInterface         Op = 0x72
	OpReturnVoidNoBarrier     Op = 0x73 // return-void-barrier in Android 4.4 and 5.0: there too it returns nothing
	OpInvokeVirtualRange      Op = 0x74
	OpInvokeSuperRange        Op = 0x75
	OpInvokeDirectRange       Op = 0x76
	OpInvokeStaticRange       Op = 0x77
	OpInvokeInterfaceRange    Op = 0x78
	OpNegInt                  Op = 0x7b
	OpNotInt                  Op = 0x7c
	OpNegLong                 Op = 0x7d
	OpNotLong                 Op = 0x7e
	OpNegFloat                Op = 0x7f
	OpNegDouble               Op = 0x80
	OpIntToLong               Op = 0x81
	OpIntToFloat              Op = 0x82
	OpIntToDouble             Op = 0x83
	OpLongToInt               Op = 0x84
	OpLongToFloat             Op = 0x85
	OpLongToDouble            Op = 0x86
	OpFloatToInt              Op = 0x87
	OpFloatToLong             Op = 0x88
	OpFloatToDouble           Op = 0x89
	OpDoubleToInt             Op = 0x8a
	OpDoubleToLong            Op = 0x8b
	OpDoubleToFloat           Op = 0x8c
	OpIntToByte               Op = 0x8d
	OpIntToChar               Op = 0x8e
	OpIntToShort              Op = 0x8f
	OpAddInt                  Op = 0x90
	OpSubInt                  Op = 0x91
	OpMulInt                  Op = 0x92
	OpDivInt                  Op = 0x93
	OpRemInt                  Op = 0x94
	OpAndInt                  Op = 0x95
	OpOrInt                   Op = 0x96
	OpXorInt                  Op = 0x97
	OpShlInt                  Op = 0x98
	OpShrInt                  Op = 0x99
	OpUshrInt                 Op = 0x9a
	OpAddLong                 Op = 0x9b
	OpSubLong                 Op = 0x9c
	OpMulLong                 Op = 0x9d
	OpDivLong                 Op = 0x9e
	OpRemLong                 Op = 0x9f
	OpAndLong                 Op = 0xa0
	OpOrLong                  Op = 0xa1
	OpXorLong                 Op = 0xa2
	OpShlLong                 Op = 0xa3
	OpShrLong                 Op = 0xa4
	OpUshrLong                Op = 0xa5
	OpAddFloat                Op = 0xa6
	OpSubFloat                Op = 0xa7
	OpMulFloat                Op = 0xa8
	OpDivFloat                Op = 0xa9
	OpRemFloat                Op = 0xaa
	OpAddDouble               Op = 0xab
	OpSubDouble               Op = 0xac
	OpMulDouble               Op = 0xad
	OpDivDouble               Op = 0xae
	OpRemDouble               Op = 0xaf
	OpAddInt2Addr             Op = 0xb0
	OpSubInt2Addr             Op = 0xb1
	OpMulInt2Addr             Op = 0xb2
	OpDivInt2Addr             Op = 0xb3
	OpRemInt2Addr             Op = 0xb4
	OpAndInt2Addr             Op = 0xb5
	OpOrInt2Addr              Op = 0xb6
	OpXorInt2Addr             Op = 0xb7
	OpShlInt2Addr             Op = 0xb8
	OpShrInt2Addr             Op = 0xb9
	OpUshrInt2Addr            Op = 0xba
	OpAddLong2Addr            Op = 0xbb
	OpSubLong2Addr            Op = 0xbc
	OpMulLong2Addr            Op = 0xbd
	OpDivLong2Addr            Op = 0xbe
	OpRemLong2Addr            Op = 0xbf
	OpAndLong2Addr            Op = 0xc0
	OpOrLong2Addr             Op = 0xc1
	OpXorLong2Addr            Op = 0xc2
	OpShlLong2Addr            Op = 0xc3
	OpShrLong2Addr            Op = 0xc4
	OpUshrLong2Addr           Op = 0xc5
	OpAddFloat2Addr           Op = 0xc6
	OpSubFloat2Addr           Op = 0xc7
	OpMulFloat2Addr           Op = 0xc8
	OpDivFloat2Addr           Op = 0xc9
	OpRemFloat2Addr           Op = 0xca
	OpAddDouble2Addr          Op = 0xcb
	OpSubDouble2Addr          Op = 0xcc
	OpMulDouble2Addr          Op = 0xcd
	OpDivDouble2Addr          Op = 0xce
	OpRemDouble2Addr          Op = 0xcf
	OpAddIntLit16             Op = 0xd0
	OpRsubInt                 Op = 0xd1
	OpMulIntLit16             Op = 0xd2
	OpDivIntLit16             Op = 0xd3
	OpRemIntLit16             Op = 0xd4
	OpAndIntLit16             Op = 0xd5
	OpOrIntLit16              Op = 0xd6
	OpXorIntLit16             Op = 0xd7
	OpAddIntLit8              Op = 0xd8
	OpRsubIntLit8             Op = 0xd9
	OpMulIntLit8              Op = 0xda
	OpDivIntLit8              Op = 0xdb
	OpRemIntLit8              Op = 0xdc
	OpAndIntLit8              Op = 0xdd
	OpOrIntLit8               Op = 0xde
	OpXorIntLit8              Op = 0xdf
	OpShlIntLit8              Op = 0xe0
	OpShrIntLit8              Op = 0xe1
	OpUshrIntLit8             Op = 0xe2
	OpIgetQuick               Op = 0xe3
	OpIgetWideQuick           Op = 0xe4
	OpIgetObjectQuick         Op = 0xe5
	OpIputQuick               Op = 0xe6
	OpIputWideQuick           Op = 0xe7
	OpIputObjectQuick         Op = 0xe8
	OpInvokeVirtualQuick      Op = 0xe9
	OpInvokeVirtualRangeQuick Op = 0xea
	OpIputBooleanQuick        Op = 0xeb
	OpIputByteQuick           Op = 0xec
	OpIputCharQuick           Op = 0xed
	OpIputShortQuick          Op = 0xee
	OpIgetBooleanQuick        Op = 0xef
	OpIgetByteQuick           Op = 0xf0
	OpIgetCharQuick           Op = 0xf1
	OpIgetShortQuick          Op = 0xf2
	OpInvokePolymorphic       Op = 0xfa
	OpInvokePolymorphicRange  Op = 0xfb
	OpInvokeCustom            Op = 0xfc
	OpInvokeCustomRange       Op = 0xfd
	OpConstMethodHandle       Op = 0xfe
	OpConstMethodType         Op = 0xff
)

var ops = [256]opInfo{
	OpNop:                     {"nop", Format10x, IndexNone, 0},
	OpMove:                    {"move", Format12x, IndexNone, sets},
	OpMoveFrom16:              {"move/from16", Format22x, IndexNone, sets},
	OpMove16:                  {"move/16", Format32x, IndexNone, sets},
	OpMoveWide:                {"move-wide", Format12x, IndexNone, sets},
	OpMoveWideFrom16:          {"move-wide/from16", Format22x, IndexNone, sets},
	OpMoveWide16:              {"move-wide/16", Format32x, IndexNone, sets},
	OpMoveObject:              {"move-object", Format12x, IndexNone, sets},
	OpMoveObjectFrom16:        {"move-object/from16", Format22x, IndexNone, sets},
	OpMoveObject16:            {"move-object/16", Format32x, IndexNone, sets},
	OpMoveResult:              {"move-result", Format11x, IndexNone, sets},
	OpMoveResultWide:          {"move-result-wide", Format11x, IndexNone, sets},
	OpMoveResultObject:        {"move-result-object", Format11x, IndexNone, sets},
	OpMoveException:           {"move-exception", Format11x, IndexNone, sets},
	OpReturnVoid:              {"return-void", Format10x, IndexNone, returns},
	OpReturn:                  {"return", Format11x, IndexNone, returns},
	OpReturnWide:              {"return-wide", Format11x, IndexNone, returns},
	OpReturnObject:            {"return-object", Format11x, IndexNone, returns},
	OpConst4:                  {"const/4", Format11n, IndexNone, sets},
	OpConst16:                 {"const/16", Format21s, IndexNone, sets},
	OpConst:                   {"const", Format31i, IndexNone, sets},
	OpConstHigh16:             {"const/high16", Format21h, IndexNone, sets},
	OpConstWide16:             {"const-wide/16", Format21s, IndexNone, sets},
	OpConstWide32:             {"const-wide/32", Format31i, IndexNone, sets},
	OpConstWide:               {"const-wide", Format51l, IndexNone, sets},
	OpConstWideHigh16:         {"const-wide/high16", Format21h, IndexNone, sets},
	OpConstString:             {"const-string", Format21c, IndexString, sets | throws},
	OpConstStringJumbo:        {"const-string/jumbo", Format31c, IndexString, sets | throws},
	OpConstClass:              {"const-class", Format21c, IndexType, sets | throws},
	OpMonitorEnter:            {"monitor-enter", Format11x, IndexNone, throws},
	OpMonitorExit:             {"monitor-exit", Format11x, IndexNone, throws},
	OpCheckCast:               {"check-cast", Format21c, IndexType, sets | throws},
	OpInstanceOf:              {"instance-of", Format22c, IndexType, sets | throws},
	OpArrayLength:             {"array-length", Format12x, IndexNone, sets | throws},
	OpNewInstance:             {"new-instance", Format21c, IndexType, sets | throws},
	OpNewArray:                {"new-array", Format22c, IndexType, sets | throws},
	OpFilledNewArray:          {"filled-new-array", Format35c, IndexType, throws},
	OpFilledNewArrayRange:     {"filled-new-array/range", Format3rc, IndexType, throws},
	OpFillArrayData:           {"fill-array-data", Format31t, IndexNone, throws},
	OpThrow:                   {"throw", Format11x, IndexNone, stops | throws},
	OpGoto:                    {"goto", Format10t, IndexNone, branches | stops},
	OpGoto16:                  {"goto/16", Format20t, IndexNone, branches | stops},
	OpGoto32:                  {"goto/32", Format30t, IndexNone, branches | stops},
	OpPackedSwitch:            {"packed-switch", Format31t, IndexNone, switches},
	OpSparseSwitch:            {"sparse-switch", Format31t, IndexNone, switches},
	OpCmplFloat:               {"cmpl-float", Format23x, IndexNone, sets},
	OpCmpgFloat:               {"cmpg-float", Format23x, IndexNone, sets},
	OpCmplDouble:              {"cmpl-double", Format23x, IndexNone, sets},
	OpCmpgDouble:              {"cmpg-double", Format23x, IndexNone, sets},
	OpCmpLong:                 {"cmp-long", Format23x, IndexNone, sets},
	OpIfEq:                    {"if-eq", Format22t, IndexNone, branches},
	OpIfNe:                    {"if-ne", Format22t, IndexNone, branches},
	OpIfLt:                    {"if-lt", Format22t, IndexNone, branches},
	OpIfGe:                    {"if-ge", Format22t, IndexNone, branches},
	OpIfGt:                    {"if-gt", Format22t, IndexNone, branches},
	OpIfLe:                    {"if-le", Format22t, IndexNone, branches},
	OpIfEqz:                   {"if-eqz", Format21t, IndexNone, branches},
	OpIfNez:                   {"if-nez", Format21t, IndexNone, branches},
	OpIfLtz:                   {"if-ltz", Format21t, IndexNone, branches},
	OpIfGez:                   {"if-gez", Format21t, IndexNone, branches},
	OpIfGtz:                   {"if-gtz", Format21t, IndexNone, branches},
	OpIfLez:                   {"if-lez", Format21t, IndexNone, branches},
	OpUnused:                  {"unused", Format10x, IndexNone, stops},
	OpPackedSwitchPayload:     {"packed-switch-payload", Format10x, IndexNone, stops},
	OpSparseSwitchPayload:     {"sparse-switch-payload", Format10x, IndexNone, stops},
	OpFillArrayDataPayload:    {"fill-array-data-payload", Format10x, IndexNone, stops},
	OpAget:                    {"aget", Format23x, IndexNone, sets | throws},
	OpAgetWide:                {"aget-wide", Format23x, IndexNone, sets | throws},
	OpAgetObject:              {"aget-object", Format23x, IndexNone, sets | throws},
	OpAgetBoolean:             {"aget-boolean", Format23x, IndexNone, sets | throws},
	OpAgetByte:                {"aget-byte", Format23x, IndexNone, sets | throws},
	OpAgetChar:                {"aget-char", Format23x, IndexNone, sets | throws},
	OpAgetShort:               {"aget-short", Format23x, IndexNone, sets | throws},
	OpAput:                    {"aput", Format23x, IndexNone, throws},
	OpAputWide:                {"aput-wide", Format23x, IndexNone, throws},
	OpAputObject:              {"aput-object", Format23x, IndexNone, throws},
	OpAputBoolean:             {"aput-boolean", Format23x, IndexNone, throws},
	OpAputByte:                {"aput-byte", Format23x, IndexNone, throws},
	OpAputChar:                {"aput-char", Format23x, IndexNone, throws},
	OpAputShort:               {"aput-short", Format23x, IndexNone, throws},
	OpIget:                    {"iget", Format22c, IndexField, sets | throws},
	OpIgetWide:                {"iget-wide", Format22c, IndexField, sets | throws},
	OpIgetObject:              {"iget-object", Format22c, IndexField, sets | throws},
	OpIgetBoolean:             {"iget-boolean", Format22c, IndexField, sets | throws},
	OpIgetByte:                {"iget-byte", Format22c, IndexField, sets | throws},
	OpIgetChar:                {"iget-char", Format22c, IndexField, sets | throws},
	OpIgetShort:               {"iget-short", Format22c, IndexField, sets | throws},
	OpIput:                    {"iput", Format22c, IndexField, throws},
	OpIputWide:                {"iput-wide", Format22c, IndexField, throws},
	OpIputObject:              {"iput-object", Format22c, IndexField, throws},
	OpIputBoolean:             {"iput-boolean", Format22c, IndexField, throws},
	OpIputByte:                {"iput-byte", Format22c, IndexField, throws},
	OpIputChar:                {"iput-char", Format22c, IndexField, throws},
	OpIputShort:               {"iput-short", Format22c, IndexField, throws},
	OpSget:                    {"sget", Format21c, IndexField, sets | throws},
	OpSgetWide:                {"sget-wide", Format21c, IndexField, sets | throws},
	OpSgetObject:              {"sget-object", Format21c, IndexField, sets | throws},
	OpSgetBoolean:             {"sget-boolean", Format21c, IndexField, sets | throws},
	OpSgetByte:                {"sget-byte", Format21c, IndexField, sets | throws},
	OpSgetChar:                {"sget-char", Format21c, IndexField, sets | throws},
	OpSgetShort:               {"sget-short", Format21c, IndexField, sets | throws},
	OpSput:                    {"sput", Format21c, IndexField, throws},
	OpSputWide:                {"sput-wide", Format21c, IndexField, throws},
	OpSputObject:              {"sput-object", Format21c, IndexField, throws},
	OpSputBoolean:             {"sput-boolean", Format21c, IndexField, throws},
	OpSputByte:                {"sput-byte", Format21c, IndexField, throws},
	OpSputChar:                {"sput-char", Format21c, IndexField, throws},
	OpSputShort:               {"sput-short", Format21c, IndexField, throws},
	OpInvokeVirtual:           {"invoke-virtual", Format35c, IndexMethod, invokes | throws},
	OpInvokeSuper:             {"invoke-super", Format35c, IndexMethod, invokes | throws},
	OpInvokeDirect:            {"invoke-direct", Format35c, IndexMethod, invokes | throws},
	OpInvokeStatic:            {"invoke-static", Format35c, IndexMethod, invokes | throws},
	OpInvokeInterface:         {"invoke-interface", Format35c, IndexMethod, invokes | throws},
	OpReturnVoidNoBarrier:     {"return-void-no-barrier", Format10x, IndexNone, returns},
	OpInvokeVirtualRange:      {"invoke-virtual/range", Format3rc, IndexMethod, invokes | throws},
	OpInvokeSuperRange:        {"invoke-super/range", Format3rc, IndexMethod, invokes | throws},
	OpInvokeDirectRange:       {"invoke-direct/range", Format3rc, IndexMethod, invokes | throws},
	OpInvokeStaticRange:       {"invoke-static/range", Format3rc, IndexMethod, invokes | throws},
	OpInvokeInterfaceRange:    {"invoke-interface/range", Format3rc, IndexMethod, invokes | throws},
	OpNegInt:                  {"neg-int", Format12x, IndexNone, sets},
	OpNotInt:                  {"not-int", Format12x, IndexNone, sets},
	OpNegLong:                 {"neg-long", Format12x, IndexNone, sets},
	OpNotLong:                 {"not-long", Format12x, IndexNone, sets},
	OpNegFloat:                {"neg-float", Format12x, IndexNone, sets},
	OpNegDouble:               {"neg-double", Format12x, IndexNone, sets},
	OpIntToLong:               {"int-to-long", Format12x, IndexNone, sets},
	OpIntToFloat:              {"int-to-float", Format12x, IndexNone, sets},
	OpIntToDouble:             {"int-to-double", Format12x, IndexNone, sets},
	OpLongToInt:               {"long-to-int", Format12x, IndexNone, sets},
	OpLongToFloat:             {"long-to-float", Format12x, IndexNone, sets},
	OpLongToDouble:            {"long-to-double", Format12x, IndexNone, sets},
	OpFloatToInt:              {"float-to-int", Format12x, IndexNone, sets},
	OpFloatToLong:             {"float-to-long", Format12x, IndexNone, sets},
	OpFloatToDouble:           {"float-to-double", Format12x, IndexNone, sets},
	OpDoubleToInt:             {"double-to-int", Format12x, IndexNone, sets},
	OpDoubleToLong:            {"double-to-long", Format12x, IndexNone, sets},
	OpDoubleToFloat:           {"double-to-float", Format12x, IndexNone, sets},
	OpIntToByte:               {"int-to-byte", Format12x, IndexNone, sets},
	OpIntToChar:               {"int-to-char", Format12x, IndexNone, sets},
	OpIntToShort:              {"int-to-short", Format12x, IndexNone, sets},
	OpAddInt:                  {"add-int", Format23x, IndexNone, sets},
	OpSubInt:                  {"sub-int", Format23x, IndexNone, sets},
	OpMulInt:                  {"mul-int", Format23x, IndexNone, sets},
	OpDivInt:                  {"div-int", Format23x, IndexNone, sets | throws},
	OpRemInt:                  {"rem-int", Format23x, IndexNone, sets | throws},
	OpAndInt:                  {"and-int", Format23x, IndexNone, sets},
	OpOrInt:                   {"or-int", Format23x, IndexNone, sets},
	OpXorInt:                  {"xor-int", Format23x, IndexNone, sets},
	OpShlInt:                  {"shl-int", Format23x, IndexNone, sets},
	OpShrInt:                  {"shr-int", Format23x, IndexNone, sets},
	OpUshrInt:                 {"ushr-int", Format23x, IndexNone, sets},
	OpAddLong:                 {"add-long", Format23x, IndexNone, sets},
	OpSubLong:                 {"sub-long", Format23x, IndexNone, sets},
	OpMulLong:                 {"mul-long", Format23x, IndexNone, sets},
	OpDivLong:                 {"div-long", Format23x, IndexNone, sets | throws},
	OpRemLong:                 {"rem-long", Format23x, IndexNone, sets | throws},
	OpAndLong:                 {"and-long", Format23x, IndexNone, sets},
	OpOrLong:                  {"or-long", Format23x, IndexNone, sets},
	OpXorLong:                 {"xor-long", Format23x, IndexNone, sets},
	OpShlLong:                 {"shl-long", Format23x, IndexNone, sets},
	OpShrLong:                 {"shr-long", Format23x, IndexNone, sets},
	OpUshrLong:                {"ushr-long", Format23x, IndexNone, sets},
	OpAddFloat:                {"add-float", Format23x, IndexNone, sets},
	OpSubFloat:                {"sub-float", Format23x, IndexNone, sets},
	OpMulFloat:                {"mul-float", Format23x, IndexNone, sets},
	OpDivFloat:                {"div-float", Format23x, IndexNone, sets},
	OpRemFloat:                {"rem-float", Format23x, IndexNone, sets},
	OpAddDouble:               {"add-double", Format23x, IndexNone, sets},
	OpSubDouble:               {"sub-double", Format23x, IndexNone, sets},
	OpMulDouble:               {"mul-double", Format23x, IndexNone, sets},
	OpDivDouble:               {"div-double", Format23x, IndexNone, sets},
	OpRemDouble:               {"rem-double", Format23x, IndexNone, sets},
	OpAddInt2Addr:             {"add-int/2addr", Format12x, IndexNone, sets},
	OpSubInt2Addr:             {"sub-int/2addr", Format12x, IndexNone, sets},
	OpMulInt2Addr:             {"mul-int/2addr", Format12x, IndexNone, sets},
	OpDivInt2Addr:             {"div-int/2addr", Format12x, IndexNone, sets | throws},
	OpRemInt2Addr:             {"rem-int/2addr", Format12x, IndexNone, sets | throws},
	OpAndInt2Addr:             {"and-int/2addr", Format12x, IndexNone, sets},
	OpOrInt2Addr:              {"or-int/2addr", Format12x, IndexNone, sets},
	OpXorInt2Addr:             {"xor-int/2addr", Format12x, IndexNone, sets},
	OpShlInt2Addr:             {"shl-int/2addr", Format12x, IndexNone, sets},
	OpShrInt2Addr:             {"shr-int/2addr", Format12x, IndexNone, sets},
	OpUshrInt2Addr:            {"ushr-int/2addr", Format12x, IndexNone, sets},
	OpAddLong2Addr:            {"add-long/2addr", Format12x, IndexNone, sets},
	OpSubLong2Addr:            {"sub-long/2addr", Format12x, IndexNone, sets},
	OpMulLong2Addr:            {"mul-long/2addr", Format12x, IndexNone, sets},
	OpDivLong2Addr:            {"div-long/2addr", Format12x, IndexNone, sets | throws},
	OpRemLong2Addr:            {"rem-long/2addr", Format12x, IndexNone, sets | throws},
	OpAndLong2Addr:            {"and-long/2addr", Format12x, IndexNone, sets},
	OpOrLong2Addr:             {"or-long/2addr", Format12x, IndexNone, sets},
	OpXorLong2Addr:            {"xor-long/2addr", Format12x, IndexNone, sets},
	OpShlLong2Addr:            {"shl-long/2addr", Format12x, IndexNone, sets},
	OpShrLong2Addr:            {"shr-long/2addr", Format12x, IndexNone, sets},
	OpUshrLong2Addr:           {"ushr-long/2addr", Format12x, IndexNone, sets},
	OpAddFloat2Addr:           {"add-float/2addr", Format12x, IndexNone, sets},
	OpSubFloat2Addr:           {"sub-float/2addr", Format12x, IndexNone, sets},
	OpMulFloat2Addr:           {"mul-float/2addr", Format12x, IndexNone, sets},
	OpDivFloat2Addr:           {"div-float/2addr", Format12x, IndexNone, sets},
	OpRemFloat2Addr:           {"rem-float/2addr", Format12x, IndexNone, sets},
	OpAddDouble2Addr:          {"add-double/2addr", Format12x, IndexNone, sets},
	OpSubDouble2Addr:          {"sub-double/2addr", Format12x, IndexNone, sets},
	OpMulDouble2Addr:          {"mul-double/2addr", Format12x, IndexNone, sets},
	OpDivDouble2Addr:          {"div-double/2addr", Format12x, IndexNone, sets},
	OpRemDouble2Addr:          {"rem-double/2addr", Format12x, IndexNone, sets},
	OpAddIntLit16:             {"add-int/lit16", Format22s, IndexNone, sets},
	OpRsubInt:                 {"rsub-int", Format22s, IndexNone, sets},
	OpMulIntLit16:             {"mul-int/lit16", Format22s, IndexNone, sets},
	OpDivIntLit16:             {"div-int/lit16", Format22s, IndexNone, sets | throws},
	OpRemIntLit16:             {"rem-int/lit16", Format22s, IndexNone, sets | throws},
	OpAndIntLit16:             {"and-int/lit16", Format22s, IndexNone, sets},
	OpOrIntLit16:              {"or-int/lit16", Format22s, IndexNone, sets},
	OpXorIntLit16:             {"xor-int/lit16", Format22s, IndexNone, sets},
	OpAddIntLit8:              {"add-int/lit8", Format22b, IndexNone, sets},
	OpRsubIntLit8:             {"rsub-int/lit8", Format22b, IndexNone, sets},
	OpMulIntLit8:              {"mul-int/lit8", Format22b, IndexNone, sets},
	OpDivIntLit8:              {"div-int/lit8", Format22b, IndexNone, sets | throws},
	OpRemIntLit8:              {"rem-int/lit8", Format22b, IndexNone, sets | throws},
	OpAndIntLit8:              {"and-int/lit8", Format22b, IndexNone, sets},
	OpOrIntLit8:               {"or-int/lit8", Format22b, IndexNone, sets},
	OpXorIntLit8:              {"xor-int/lit8", Format22b, IndexNone, sets},
	OpShlIntLit8:              {"shl-int/lit8", Format22b, IndexNone, sets},
	OpShrIntLit8:              {"shr-int/lit8", Format22b, IndexNone, sets},
	OpUshrIntLit8:             {"ushr-int/lit8", Format22b, IndexNone, sets},
	OpIgetQuick:               {"iget-quick", Format22c, IndexQuickField, sets | throws},
	OpIgetWideQuick:           {"iget-wide-quick", Format22c, IndexQuickField, sets | throws},
	OpIgetObjectQuick:         {"iget-object-quick", Format22c, IndexQuickField, sets | throws},
	OpIputQuick:               {"iput-quick", Format22c, IndexQuickField, throws},
	OpIputWideQuick:           {"iput-wide-quick", Format22c, IndexQuickField, throws},
	OpIputObjectQuick:         {"iput-object-quick", Format22c, IndexQuickField, throws},
	OpInvokeVirtualQuick:      {"invoke-virtual-quick", Format35c, IndexVtable, invokes | throws},
	OpInvokeVirtualRangeQuick: {"invoke-virtual/range-quick", Format3rc, IndexVtable, invokes | throws},
	OpIputBooleanQuick:        {"iput-boolean-quick", Format22c, IndexQuickField, throws},
	OpIputByteQuick:           {"iput-byte-quick", Format22c, IndexQuickField, throws},
	OpIputCharQuick:           {"iput-char-quick", Format22c, IndexQuickField, throws},
	OpIputShortQuick:          {"iput-short-quick", Format22c, IndexQuickField, throws},
	OpIgetBooleanQuick:        {"iget-boolean-quick", Format22c, IndexQuickField, sets | throws},
	OpIgetByteQuick:           {"iget-byte-quick", Format22c, IndexQuickField, sets | throws},
	OpIgetCharQuick:           {"iget-char-quick", Format22c, IndexQuickField, sets | throws},
	OpIgetShortQuick:          {"iget-short-quick", Format22c, IndexQuickField, sets | throws},
	OpInvokePolymorphic:       {"invoke-polymorphic", Format45cc, IndexMethod, invokes | throws},
	OpInvokePolymorphicRange:  {"invoke-polymorphic/range", Format4rcc, IndexMethod, invokes | throws},
	OpInvokeCustom:            {"invoke-custom", Format35c, IndexCallSite, invokes | throws},
	OpInvokeCustomRange:       {"invoke-custom/range", Format3rc, IndexCallSite, invokes | throws},
	OpConstMethodHandle:       {"const-method-handle", Format21c, IndexHandle, sets | throws},
	OpConstMethodType:         {"const-method-type", Format21c, IndexProto, sets | throws},
}
