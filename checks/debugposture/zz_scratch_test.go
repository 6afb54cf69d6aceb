package debugposture
import ("testing";"context";"fmt";"strings";"sort";"gifthorse/evidence";"gifthorse/phone")
func TestScratchDump(t *testing.T){
 for _,n:=range []string{"wolder","doogee_mix","redmi_water","archos","tecno_ba2"}{
  ev,err:=evidence.Open(context.Background(),[]string{"/tmp/ph/"+n},func(evidence.Progress){})
  if err!=nil{t.Fatal(err)}
  p:=phone.Build(context.Background(),ev,nil)
  fmt.Printf("=== %s API %d %+v\nplatform %+v\n",n,p.API,p.Device,p.PlatformSigner)
  for _,q:=range p.Properties{ if strings.Contains(q.Name,"secure")||strings.Contains(q.Name,"adb")||strings.Contains(q.Name,"debug")||strings.Contains(q.Name,"build.t")||strings.Contains(q.Name,"usb")||strings.HasPrefix(q.Name,"ro.boot")||strings.HasPrefix(q.Name,"ro.oem")||strings.Contains(q.Name,"root")||strings.Contains(q.Name,"selinux"){fmt.Printf("P %s=%s @%v over=%v\n",q.Name,q.Value,q.At,q.Overridden)}}
  for _,k:=range p.ADBKeys{fmt.Println("ADBKEY",k)}
  for _,c:=range p.Coverage{fmt.Println("COV",c.What,c.Listed,c.Read,c.Failed,len(c.Gaps))}
  un:=0
  for _,c:=range p.Trust{ if !c.Known||c.Added||c.Problem!=""{fmt.Println("CA",c)} else {un++}}
  fmt.Println("CAs known",un, "of", len(p.Trust))
  cnt:=map[string]int{}
  for _,k:=range p.Packages{
   s:=""
   for _,x:=range k.Signature.Signers{s+=x.SHA256[:12]+" "+x.Subject+" ;"}
   cnt[s+fmt.Sprint(" sys=",k.System)]++
   path:="";if k.File!=nil{path=k.File.Path}
   fmt.Printf("PKG %s %s sys=%v dorm=%v priv=%v plat=%v dbg=%v testonly=%v code=%v shared=%q tgt=%d ver=%s %v sig=%s [%s] prob=%q clear=%+v inet=%v\n",k.Name,path,k.System,k.Dormant,k.Privileged,k.Platform,k.Debuggable,k.TestOnly,k.HasCode,k.SharedUID,k.TargetSDK,k.VersionName,k.Signature.Schemes,k.Signature.Verdict,s,k.Signature.Problem,k.Cleartext,k.Granted["android.permission.INTERNET"])
  }
  var ss []string; for s,c:=range cnt{ss=append(ss,fmt.Sprintf("%4d %s",c,s))}; sort.Strings(ss); for _,s:=range ss{fmt.Println("SIGNER",s)}
  ev.Close()
 }
}
