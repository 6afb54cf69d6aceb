package cleartext
import ("testing";"context";"fmt";"gifthorse/evidence";"gifthorse/phone";"gifthorse/check";"gifthorse/checks/debugposture";"gifthorse/checks/signingkeys";"gifthorse/checks/truststore")
func TestScratch(t *testing.T){
 for _,n:=range []string{"wolder","doogee_mix","redmi_water","archos","tecno_ba2"}{
  ev,_:=evidence.Open(context.Background(),[]string{"/tmp/ph/"+n},func(evidence.Progress){})
  p:=phone.Build(context.Background(),ev,nil)
  fmt.Println("=== ",n)
  for _,c:=range []*check.Check{debugposture.Check,signingkeys.Check,truststore.Check,Check}{
   ps:=check.NewPass(context.Background(),c,p,nil,func(f check.Finding){fmt.Println(f.Check,f.Grade,f.Text(),"@",f.At); for _,s:=range f.Witness{fmt.Println("      ",s.What)}})
   if err:=c.Run(ps);err!=nil{t.Error(err)}
  }
  ev.Close()
 }
}
