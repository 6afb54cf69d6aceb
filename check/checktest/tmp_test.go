package checktest
import ("testing";"os";"os/exec";"path/filepath";"strings";"io/fs";"fmt"
 assemble "gifthorse/internal/make"
 "golang.org/x/tools/txtar")
func TestTmpCorpus(t *testing.T){
 apks,_:=filepath.Glob("../../../shared/corpus/*/*.apk")
 n:=0
 for i,a:=range apks { if i%9!=0 {continue}
  out:=t.TempDir()
  if exec.Command("baksmali","d","-j","1","-o",out,a).Run()!=nil {continue}
  ar:=&txtar.Archive{}
  filepath.WalkDir(out,func(p string,d fs.DirEntry,e error)error{ if d.IsDir(){return nil}; b,_:=os.ReadFile(p); ar.Files=append(ar.Files,txtar.File{Name:"system/app/X/"+strings.TrimPrefix(p,out+"/"),Data:b});return nil})
  ar.Files=append(ar.Files,txtar.File{Name:"system/app/X/AndroidManifest.xml",Data:[]byte(`<manifest package="de.ecspride"/>`)})
  tp:=&textPhone{name:a,archive:ar}
  r,rn,err:=rename(tp)
  if err!=nil {t.Fatal(err)}
  var s []assemble.SmaliFile
  for _,f:=range r.Files { if strings.HasSuffix(f.Name,".smali"){s=append(s,assemble.SmaliFile{Name:f.Name,Text:string(f.Data)})}}
  _,_,err=assemble.DEX(s)
  if err!=nil {t.Error(a,err)}
  n++
  if n==3 { fmt.Println(a,len(s),len(rn.to)); for _,f:=range s { if !strings.Contains(f.Text,"Landroid/support") && len(f.Text)>3000 && len(f.Text)<6000 {fmt.Println(f.Text);break}}}
 }
 fmt.Println(n)
}
