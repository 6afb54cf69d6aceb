package program

import (
	"testing"

	"gifthorse/internal/make"
)

// TestConstructorsCallOneClass: what one class's constructor reaches, those of others do not, though all call Object's.
func TestConstructorsCallOneClass(t *testing.T) {
	dex, _, err := make.DEX([]make.SmaliFile{{Name: "Runs.smali", Text: `.class public Lt/Runs;
.super Ljava/lang/Object;
.method public constructor <init>()V
    .registers 3
    invoke-direct {p0}, Ljava/lang/Object;-><init>()V
    invoke-static {}, Ljava/lang/Runtime;->getRuntime()Ljava/lang/Runtime;
    move-result-object v0
    const-string v1, "id"
    invoke-virtual {v0, v1}, Ljava/lang/Runtime;->exec(Ljava/lang/String;)Ljava/lang/Process;
    return-void
.end method
`}, {Name: "Plain.smali", Text: `.class public Lt/Plain;
.super Ljava/lang/Object;
.method public constructor <init>()V
    .registers 1
    invoke-direct {p0}, Ljava/lang/Object;-><init>()V
    return-void
.end method
`}, {Name: "Makes.smali", Text: `.class public Lt/Makes;
.super Ljava/lang/Object;
.method public static make()V
    .registers 1
    new-instance v0, Lt/Runs;
    invoke-direct {v0}, Lt/Runs;-><init>()V
    return-void
.end method
`}})
	if err != nil {
		t.Fatal(err)
	}
	p := loaded(theApp(dex))
	p.scan()
	p.relevance()
	for name, want := range map[string]bool{"Lt/Runs;.<init>:()V": true, "Lt/Plain;.<init>:()V": false, "Lt/Makes;.make:()V": true} {
		for m := range p.methods {
			if p.MethodName(MethodID(m)) == name && (p.relevant[m]&reachesEffect != 0) != want {
				t.Errorf("%s reaches an effect: %t", name, !want)
			}
		}
	}
}
