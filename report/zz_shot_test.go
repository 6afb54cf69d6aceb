package report
import ("testing";"os")
func TestShot(t *testing.T){ r:=New(sample("an updater")); f,_:=os.Create("/tmp/shot.html"); r.HTML(f); f.Close() }
