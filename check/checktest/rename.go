package checktest

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"gifthorse/check"
	"gifthorse/knowledge"

	"golang.org/x/tools/txtar"
)

// Renaming works on words: a word that the phone defines becomes the same other word wherever it stands, so package and
// class, authority and URI, a member and the text that names it for reflection stay together. The new words
// have no vowels, are long, and are told by a hash, so none of them is a word of the platform or of a message, and
// what is found in the renamed phone can be told in the old names, and held against the same expectations.
//
// What is a word of the phone:
//   - in code: classes outside of the platform, members of such classes unless a class of the platform may have
//     them too, and texts: all words of a text without blanks, and in a text with blanks (a command, a
//     sentence) dotted names, URLs, and words that are known as names of classes, files and services;
//   - in XML: the same in the values of the attributes in named, and in text;
//   - in init files, properties and all else: dotted names, URLs, services, their binaries, names of the product;
//   - files of apps, signing keys and certificates.
//
// Absolute paths stay but for such names in them; the platform's words are in platform.txt and in the
// archive's own keep line.
type renamer struct {
	keep     map[string]bool
	prefixes []string        // of platform names, with the dot at the end
	packages map[string]bool // of manifests
	bare     map[string]bool // words that are names wherever they stand
	members  map[string]bool // of the phone's classes, to be renamed
	to, from map[string]string
	paths    map[string]string // of the renamed archive: the path as written
}

//go:embed platform.txt
var platformText string

var platform = sync.OnceValue(func() (words []string) {
	for line := range strings.Lines(platformText) {
		if !strings.HasPrefix(line, "#") {
			words = append(words, strings.Fields(line)...)
		}
	}
	return words
})

// rename returns p's archive with all names replaced. Lines stay what they are.
func rename(p *textPhone) (*txtar.Archive, *renamer, error) {
	r := &renamer{keep: map[string]bool{}, packages: map[string]bool{}, bare: map[string]bool{}, members: map[string]bool{},
		to: map[string]string{}, from: map[string]string{}, paths: map[string]string{}}
	for _, w := range slices.Concat(platform(), p.keep) {
		if strings.HasSuffix(w, ".") {
			r.prefixes = append(r.prefixes, w)
		} else {
			r.keep[w] = true
		}
	}
	all := apps(p.archive)
	var smali []string
	for _, f := range p.archive.Files {
		switch ext := path.Ext(f.Name); {
		case ext == ".smali":
			smali = append(smali, string(f.Data))
		case ext == ".rc":
			for _, m := range serviceLine.FindAllStringSubmatch(string(f.Data), -1) {
				r.bare[m[1]], r.bare[path.Base(m[2])] = true, true
			}
		case ext == ".prop":
			for _, m := range productLine.FindAllStringSubmatch(string(f.Data), -1) {
				for _, w := range words.FindAllString(m[1], -1) {
					r.bare[w] = true
				}
			}
		}
	}
	r.collectMembers(smali)
	out := &txtar.Archive{Comment: p.archive.Comment}
	ids := map[string]identity{}
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		id, err := all[dir].identity()
		if err != nil {
			return nil, nil, err
		}
		ids[dir] = id
		r.packages[id.pkg] = true
		if last := id.pkg[strings.LastIndex(id.pkg, ".")+1:]; !r.platform(id.pkg) && r.tokens(id.pkg) == id.pkg && !slices.Contains(p.keep, last) {
			delete(r.keep, last) // a package must not keep its name because it is made of words of the platform
		}
		if name := strings.TrimSuffix(path.Base(dir), path.Ext(dir)); !strings.Contains(name, "-") {
			r.bare[name] = true
		}
	}
	for _, f := range p.archive.Files {
		data := string(f.Data)
		switch ext := path.Ext(f.Name); {
		case strings.ContainsRune(data, 0):
		case ext == ".smali":
			data = r.smali(data)
		case ext == ".xml":
			data = r.xml(data, !strings.Contains(f.Name, "/res/values/"))
		case strings.HasPrefix(data, strings.TrimSpace(bootMark)): // words of the kernel's
		case strings.HasPrefix(data, strings.TrimSpace(vbmetaMark)):
			data = keySeed.ReplaceAllStringFunc(data, func(m string) string {
				i := strings.LastIndexByte(m, ' ') + 1
				return m[:i] + r.word(m[i:])
			})
		case strings.HasPrefix(data, strings.TrimSpace(attestationMark)):
			data = attestedName.ReplaceAllStringFunc(data, func(m string) string {
				word, name, _ := strings.Cut(m, " ")
				return word + " " + words.ReplaceAllStringFunc(name, func(w string) string {
					if r.bare[w] || word == "root" && w != publishedRoot {
						return r.word(w)
					}
					return w
				})
			})
		case makeLine.MatchString(data):
			data = "make:" + r.tokens(strings.TrimPrefix(data, "make:"))
		case path.Base(f.Name) == "key" && holder(all, f.Name) != nil:
			data = r.tokens(data)
		default:
			data = r.plain(data, ext == ".prop")
		}
		name := strings.TrimPrefix(r.path("/"+f.Name), "/")
		r.paths[name] = f.Name
		out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(data)})
	}
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		hasKey := slices.ContainsFunc(all[dir].sources, func(f txtar.File) bool { return f.Name == dir+"/key" })
		if seed := ids[dir].seed; seed != "" && !hasKey {
			name := strings.TrimPrefix(r.path("/"+dir+"/key"), "/")
			out.Files = append(out.Files, txtar.File{Name: name, Data: []byte(r.tokens(seed) + "\n")})
		}
	}
	return out, r, nil
}

var (
	serviceLine = regexp.MustCompile(`(?m)^\s*service\s+(\S+)\s+(\S+)`)
	productLine = regexp.MustCompile(`(?m)^ro\.(?:product|build)\.(?:\w+\.)?(?:brand|manufacturer|model|name|device|product)=(.*)$`)
	words       = regexp.MustCompile(`[A-Za-z0-9_]+`)
	keySeed     = regexp.MustCompile(`(?m)^(?:key|chain \S+) \w+`)
	// What tokens passes over: escapes of texts and of XML, and formats.
	tokenOrEscape = regexp.MustCompile(`\\u[0-9a-fA-F]{4}|\\.|%[-+#0-9.$]*[a-zA-Z]|&#?\w+;|[A-Za-z0-9_]+`)
	nameOrEscape  = regexp.MustCompile(`\\u[0-9a-fA-F]{4}|\\.|%[-+#0-9.$]*[a-zA-Z]|&#?\w+;|[A-Za-z0-9_][\w$-]*(?:\.[\w$-]+)+|[A-Za-z0-9_]+`)
	url           = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>]*`)
	blank         = regexp.MustCompile(`(?:\s|\\[nrt])+`)
	pemBlock      = regexp.MustCompile(`(?s)-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?`)
	isHex         = regexp.MustCompile(`^[0-9a-f]{16,}$|^[0-9A-F]{16,}$`)
	hash          = regexp.MustCompile(`\b[0-9a-fA-F]{16,}\b`)
)

// word returns the new name of a word, or the word if it is none of the phone's.
func (r *renamer) word(s string) string {
	letters := strings.IndexFunc(s, unicode.IsLetter)
	short := letters < 0 && len(s) < 4 || letters > 0 && s[0] != '_' && len(s) < 16 // 100, 0x1f, 02d
	if r.keep[s] || r.from[s] != "" || short || strings.Trim(s, "_") == "" || knowledge.Facts(s) != nil {
		return s
	}
	if to := r.to[s]; to != "" {
		return to
	}
	for n := 0; ; n++ {
		to := newWord(s, n)
		if r.from[to] == "" && to != s {
			r.to[s], r.from[to] = to, s
			return to
		}
	}
}

// newWord makes a word of the shape of s: digits for digits, capitals for capitals. Letters are at least five, but
// for hexadecimal texts, which keep their length.
func newWord(s string, n int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", s, n))
	pick := func(i int, from string) byte { return from[int(sum[i%len(sum)]^byte(i/len(sum)*37))%len(from)] }
	hexadecimal := isHex.MatchString(s)
	var b []byte
	letters, upper := 0, false
	for i := range len(s) {
		c := s[i]
		switch lower := c >= 'a'; {
		case c == '_':
		case c <= '9':
			c = pick(i, "0123456789")
		case hexadecimal && lower:
			c = pick(i, "abcdef")
		case hexadecimal:
			c = pick(i, "ABCDEF")
		default:
			if c = pick(i, "bdfgjkqvwxz"); !lower {
				c -= 'a' - 'A'
			}
			letters, upper = letters+1, !lower && i > 0
		}
		b = append(b, c)
	}
	for ; letters > 0 && letters < 5; letters++ {
		c := pick(len(b), "bdfgjkqvwxz")
		if upper {
			c -= 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// tokens renames every word of s.
func (r *renamer) tokens(s string) string {
	return tokenOrEscape.ReplaceAllStringFunc(s, func(m string) string {
		if strings.ContainsRune(`\%&`, rune(m[0])) {
			return m
		}
		return r.word(m)
	})
}

// platform reports whether a dotted name is the platform's.
func (r *renamer) platform(name string) bool {
	return slices.ContainsFunc(r.prefixes, func(p string) bool { return name+"." == p || strings.HasPrefix(name, p) }) || r.keep[name]
}

// name renames a dotted name, or a word that is a name wherever it stands.
func (r *renamer) name(m string) string {
	switch {
	case r.platform(m):
	case strings.Contains(m, ".") || r.bare[m]:
		return r.tokens(m)
	}
	return m
}

// path renames what an absolute path holds of the phone's names: packages, apps, services.
func (r *renamer) path(s string) string {
	parts := strings.Split(s, "/")
	for i, part := range parts {
		base := strings.TrimSuffix(part, path.Ext(part))
		switch {
		case r.platform(part):
		case r.packages[part] || r.bare[part]:
			parts[i] = r.tokens(part)
		case r.bare[base] && !r.platform(base):
			parts[i] = r.tokens(base) + path.Ext(part)
		}
	}
	return strings.Join(parts, "/")
}

// sentence renames the names in a text with blanks.
func (r *renamer) sentence(s string) string {
	var b strings.Builder
	for s != "" {
		at := blank.FindStringIndex(s)
		if at == nil {
			at = []int{len(s), len(s)}
		}
		if w := s[:at[0]]; strings.HasPrefix(w, "/") {
			b.WriteString(r.path(w))
		} else {
			b.WriteString(nameOrEscape.ReplaceAllStringFunc(w, r.name))
		}
		b.WriteString(s[at[0]:at[1]])
		s = s[at[1]:]
	}
	return b.String()
}

// urls renames the URLs in s and gives what lies between them to other.
func (r *renamer) urls(s string, other func(string) string) string {
	var b strings.Builder
	for {
		at := url.FindStringIndex(s)
		if at == nil {
			return b.String() + other(s)
		}
		b.WriteString(other(s[:at[0]]))
		scheme, rest, _ := strings.Cut(s[at[0]:at[1]], "://")
		host, _, _ := strings.Cut(rest, "/")
		switch {
		case strings.HasSuffix(host, "android.com"), scheme == "content" && r.platform(host):
		case scheme == "file" || strings.HasPrefix(rest, "/"):
			rest = r.path(rest)
		default:
			rest = r.tokens(rest)
		}
		b.WriteString(r.tokens(scheme) + "://" + rest)
		s = s[at[1]:]
	}
}

// text renames a text that stands in code or in an attribute.
func (r *renamer) text(s string) string {
	return r.urls(s, func(s string) string {
		trimmed := strings.TrimSpace(s)
		switch {
		case blank.MatchString(trimmed):
			return r.sentence(s)
		case strings.HasPrefix(trimmed, "/"):
			return r.path(s)
		case descriptor.MatchString(trimmed):
			return r.class(s)
		}
		if first, _, _ := strings.Cut(trimmed, "/"); strings.Contains(first, ".") && r.platform(first) {
			return s // com.android.settings/.Main
		}
		return nameOrEscape.ReplaceAllStringFunc(s, func(m string) string {
			if r.platform(m) {
				return m
			}
			return r.tokens(m)
		})
	})
}

// plain renames the text of a file that is neither code nor XML.
func (r *renamer) plain(s string, properties bool) string {
	s = pemBlock.ReplaceAllStringFunc(s, func(m string) string {
		sum := sha256.Sum256([]byte(m))
		return string(certificate("renamed " + hex.EncodeToString(sum[:4])))
	})
	if strings.Contains(s, "-----BEGIN") {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		key, value, ok := strings.Cut(line, "=")
		if properties && ok {
			b.WriteString(r.text(key) + "=" + r.urls(value, r.sentence))
			continue
		}
		b.WriteString(r.urls(line, func(s string) string {
			return r.sentence(words.ReplaceAllStringFunc(s, func(w string) string {
				if r.bare[w] {
					return r.word(w)
				}
				return w
			}))
		}))
	}
	return b.String()
}

// named are the attributes whose values are names or texts.
var named = set(`package name permission readPermission writePermission authorities process targetActivity taskAffinity sharedUserId
	host scheme path pathPrefix pathPattern ssp sspPrefix value key label description targetPackage permissionGroup backupAgent
	manageSpaceActivity parentActivityName library file mimeType accountType settingsActivity`)

func set(s string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(s) {
		m[w] = true
	}
	return m
}

var (
	xmlPart   = regexp.MustCompile(`(?s)<!--.*?-->|<\?.*?\?>|[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*')|>[^<>]+`)
	attribute = regexp.MustCompile(`(?s)^(?:\w+:)?([\w.-]+)(\s*=\s*["'])(.*)(["'])$`)
)

// xml renames a text XML file. In res/values the attributes name resources, which stay.
func (r *renamer) xml(s string, attributes bool) string {
	return xmlPart.ReplaceAllStringFunc(s, func(m string) string {
		if m[0] == '<' {
			return m
		}
		if m[0] == '>' {
			return ">" + r.text(m[1:])
		}
		a := attribute.FindStringSubmatchIndex(m)
		name, value := m[a[2]:a[3]], m[a[6]:a[7]]
		if !attributes || !named[name] || value == "" || strings.ContainsRune("@?", rune(value[0])) {
			return m
		}
		return m[:a[6]] + r.text(value) + m[a[7]:]
	})
}

var (
	descriptor = regexp.MustCompile(`^\[*L[\w/$-]+[;<]`)
	smaliPart  = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|#[^\n]*|` +
		`(?m:^[ \t]*\.(?:method|field)\b[^\n"(:=]*[(:])|\[*L[\w$/-]+;->[\w$<>-]+[(:]|L[\w$/-]+;`)
	reference   = regexp.MustCompile(`^(\[*)(L[\w$/-]+;)->([\w$<>-]+)([(:])$`)
	declaration = regexp.MustCompile(`^(?s)(.*[ \t])([\w$<>-]+)([(:])$`)
)

// smali renames an assembler file.
func (r *renamer) smali(s string) string {
	return smaliPart.ReplaceAllStringFunc(s, func(m string) string {
		switch {
		case m[0] == '"':
			return `"` + r.text(m[1:len(m)-1]) + `"`
		case m[0] == '#' || m[0] == '\'':
			return m
		case strings.ContainsAny(m[len(m)-1:], "(:"):
			if ref := reference.FindStringSubmatch(m); ref != nil {
				if r.ofPlatform(ref[2]) {
					return m
				}
				return ref[1] + r.class(ref[2]) + "->" + r.member(ref[3]) + ref[4]
			}
			if d := declaration.FindStringSubmatch(m); d != nil {
				return d[1] + r.member(d[2]) + d[3]
			}
			return m
		}
		return r.class(m)
	})
}

func (r *renamer) member(name string) string {
	if r.members[name] {
		return r.tokens(name)
	}
	return name
}

func (r *renamer) ofPlatform(class string) bool {
	if _, ok := knowledge.Class(class); ok {
		return true
	}
	return r.platform(strings.ReplaceAll(strings.Trim(class, "[L;<"), "/", "."))
}

// class renames the first descriptor in s.
func (r *renamer) class(s string) string {
	i := strings.IndexByte(s, 'L')
	if r.ofPlatform(s[i:]) {
		return s
	}
	return s[:i+1] + r.tokens(s[i+1:])
}

var (
	classLine  = regexp.MustCompile(`(?m)^[ \t]*\.class\b[^\n]*?(L[\w$/-]+;)`)
	parentLine = regexp.MustCompile(`(?m)^[ \t]*\.(?:super|implements)[ \t]+(L[\w$/-]+;)`)
	memberLine = regexp.MustCompile(`(?m)^[ \t]*\.(method|field)\b[^\n"(:=]*?([\w$<>-]+)[(:]`)
	className  = regexp.MustCompile(`"((?:[a-z]\w*\.)+[A-Z][\w$.]*)"`)
)

// collectMembers finds which members of the phone's classes are its own. A method whose name a platform class has that
// some class of the phone derives from is taken for an override; so are all methods of classes that derive
// from a class which neither the phone nor the table of the platform has.
func (r *renamer) collectMembers(files []string) {
	parents, methods := map[string][]string{}, map[string][]string{}
	for _, text := range files {
		starts := classLine.FindAllStringSubmatchIndex(text, -1)
		for i, at := range starts {
			end := len(text)
			if i+1 < len(starts) {
				end = starts[i+1][0]
			}
			name, body := text[at[2]:at[3]], text[at[1]:end]
			for _, m := range parentLine.FindAllStringSubmatch(body, -1) {
				parents[name] = append(parents[name], m[1])
			}
			simple := name[strings.LastIndexAny(name, "/$L")+1 : len(name)-1]
			if !r.ofPlatform(name) {
				r.bare[simple] = true
			}
			for _, m := range memberLine.FindAllStringSubmatch(body, -1) {
				r.members[m[2]] = true
				if m[1] == "method" {
					methods[name] = append(methods[name], m[2])
				}
			}
		}
		for _, m := range className.FindAllStringSubmatch(text, -1) { // reflection
			r.keepMethods("L"+strings.ReplaceAll(m[1], ".", "/")+";", nil)
		}
	}
	for name := range parents {
		seen := map[string]bool{}
		for todo := []string{name}; len(todo) > 0; todo = todo[1:] {
			c := todo[0]
			if seen[c] {
				continue
			}
			seen[c] = true
			if own, ok := parents[c]; ok && !r.ofPlatform(c) {
				todo = append(todo, own...)
			} else {
				r.keepMethods(c, func() []string {
					var all []string
					for k := range seen {
						all = append(all, methods[k]...)
					}
					return all
				})
			}
		}
	}
	for m := range r.members {
		if strings.HasPrefix(m, "<") || r.keep[m] {
			delete(r.members, m)
		}
	}
}

// keepMethods keeps the names of all methods of a platform class and its ancestors, or what unknown names instead.
func (r *renamer) keepMethods(class string, unknown func() []string) {
	info, ok := knowledge.Class(class)
	if !ok {
		if unknown != nil {
			for _, m := range unknown() {
				r.keep[m] = true
			}
		}
		return
	}
	for m := range knowledge.Methods(class) {
		r.keep[m.Name] = true
	}
	for _, p := range append(slices.Clone(info.Interfaces), info.Super) {
		if p != "" {
			r.keepMethods(p, unknown)
		}
	}
}

// back tells a text of the renamed phone in the old names. Hashes, which follow the bytes, become "…".
func (r *renamer) back(s string) string {
	s = words.ReplaceAllStringFunc(s, func(w string) string {
		if old := r.from[w]; old != "" {
			return old
		}
		return w
	})
	return hash.ReplaceAllString(s, "…")
}

// backFinding does so with what a finding says of the phone besides its text.
func (r *renamer) backFinding(f check.Finding) check.Finding {
	if r == nil {
		return f
	}
	f.Subject, f.Effect = r.back(f.Subject), r.back(f.Effect)
	if f.Entry != nil {
		e := check.Entry{Component: r.back(f.Entry.Component), Action: r.back(f.Entry.Action)}
		for _, x := range f.Entry.Extras {
			e.Extras = append(e.Extras, r.back(x))
		}
		slices.Sort(e.Extras)
		f.Entry = &e
	}
	return f
}

// String lists the words that were renamed.
func (r *renamer) String() string {
	return "renamed: " + strings.Join(slices.Sorted(maps.Keys(r.to)), " ")
}
