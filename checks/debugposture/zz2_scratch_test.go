package debugposture
import ("testing";"context";"fmt";"strings";"gifthorse/evidence";"gifthorse/phone")
func TestScratch2(t *testing.T){
 seen:=map[string]map[string]bool{}; subj:=map[string]string{}; pk:=map[string]map[string]bool{}
 for _,n:=range []string{"wolder","doogee_mix","redmi_water","archos","tecno_ba2"}{
  ev,_:=evidence.Open(context.Background(),[]string{"/tmp/ph/"+n},func(evidence.Progress){})
  p:=phone.Build(context.Background(),ev,nil)
  for _,k:=range p.Packages{ for _,s:=range k.Signature.Signers{ if strings.Contains(s.Subject,"Google")||strings.Contains(s.Subject,"Facebook"){
    if seen[s.SHA256]==nil{seen[s.SHA256]=map[string]bool{};pk[s.SHA256]=map[string]bool{}}
    seen[s.SHA256][n]=true;subj[s.SHA256]=s.Subject;pk[s.SHA256][k.Name]=true}}}
  for _,c:=range p.Trust{ if !strings.Contains(c.KnownAs,map[string]string{"wolder":"6.0","doogee_mix":"7.0","redmi_water":"12L","archos":"6.0","tecno_ba2":"8.1"}[n]){fmt.Println(n,c.KnownAs,c.Subject)}}
  for _,k:=range p.Packages{ if k.Name=="com.aeon.wolderapp"||strings.Contains(k.Name,"ctsshim"){fmt.Println(n,k.Name,k.Granted,k.Requested,len(k.Components),k.Metadata)}}
  for _,s:=range p.Services{if s.Name=="adbd"{fmt.Printf("%s %+v\n",n,s)}}
 }
 for h,s:=range subj{fmt.Println(h,s,seen[h],pk[h])}
}
