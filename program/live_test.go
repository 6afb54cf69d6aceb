package program

import (
	"fmt"
	"testing"

	"gifthorse/internal/make"
)

// TestLiveness: at each place where paths meet, the registers that are read from there on. Registers of m: v0 to v3, then this (4), and
// the argument (5).
func TestLiveness(t *testing.T) {
	code, _, err := make.DEX([]make.SmaliFile{{Name: "A.smali", Text: `.class public Lt/A;
.super Ljava/lang/Object;
.method public m(I)I
    .registers 6
    const/4 v0, 0x1
    const/4 v1, 0x2
    if-eqz p1, :other
    add-int v2, p1, v0
    return v2
    :other
    :begin
    invoke-static {v1}, Lt/A;->f(I)I
    move-result v3
    :end
    goto :done
    :done
    add-int/2addr v3, v1
    return v3
    :caught
    move-exception v2
    return v0
    .catch Ljava/lang/Exception; {:begin .. :end} :caught
.end method
`}})
	if err != nil {
		t.Fatal(err)
	}
	p := loaded(theApp(code))
	r := newRun(p, &Entry{}, 0)
	for m := range p.methods {
		if p.MethodName(MethodID(m)) != "Lt/A;.m:(I)I" {
			continue
		}
		b := r.body(MethodID(m))
		b.liveness()
		got := map[uint32]string{}
		for pc, words := range b.live {
			set := ""
			for i := range b.code.Registers {
				if words[i/64]>>(i%64)&1 == 1 {
					set += fmt.Sprint(i)
				}
			}
			got[pc] = set
		}
		// The code: const 0, const 1, if 2, add 4, return 6, invoke 7, move-result 10, goto 11, add 12, return 13, caught 14.
		want := map[uint32]string{4: "05", 7: "01", 12: "13", 14: "0"}
		for pc, w := range want {
			if got[pc] != w {
				t.Errorf("at %d the registers %q are read, want %q; all %v", pc, got[pc], w, got)
			}
		}
		return
	}
	t.Fatal("no method")
}
