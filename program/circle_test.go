package program

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"gifthorse/internal/make"
)

// interfacesHang is what is still to be done: ten interfaces that each extend the others keep the search for a
// default method busy for good, because it does not remember where it has been. Who repairs that must set it to
// false.
const interfacesHang = false

func TestInterfacesThatExtendEachOther(t *testing.T) {
	if os.Getenv("GIFTHORSE_CIRCLE") != "" {
		buildCircle(t)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run", "^TestInterfacesThatExtendEachOther$")
	cmd.Env = append(os.Environ(), "GIFTHORSE_CIRCLE=1")
	out, err := cmd.CombinedOutput()
	switch hangs := ctx.Err() != nil; {
	case hangs && !interfacesHang:
		t.Error("Build does not come to its end")
	case !hangs && err != nil:
		t.Errorf("%v: %s", err, out)
	case !hangs && interfacesHang:
		t.Error("Build comes to its end by now; set interfacesHang to false")
	}
}

func buildCircle(t *testing.T) {
	const n = 10
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, ".class interface abstract Lt/I%d;\n.super Ljava/lang/Object;\n", i)
		for k := range n {
			if k != i {
				fmt.Fprintf(&text, ".implements Lt/I%d;\n", k)
			}
		}
	}
	text.WriteString(`
.class public Lt/A;
.super Landroid/content/BroadcastReceiver;
.implements Lt/I0;
.method public onReceive(Landroid/content/Context;Landroid/content/Intent;)V
    .registers 4
    invoke-virtual {p0}, Lt/A;->absent()V
    instance-of v0, p0, Ljava/lang/Runnable;
    invoke-static {p1}, Landroid/os/RecoverySystem;->rebootWipeUserData(Landroid/content/Context;)V
    return-void
.end method
`)
	dex, _, err := make.DEX([]make.SmaliFile{{Name: "circle", Text: text.String()}})
	if err != nil {
		t.Fatal(err)
	}
	p := Build(context.Background(), theApp(dex), "", nil)
	if len(p.paths) == 0 {
		t.Error("no path")
	}
}
