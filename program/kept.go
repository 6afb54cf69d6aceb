package program

import (
	"slices"
	"strings"
)

// This file tells in which of its own files and preferences an app looks while it decides, and whether the code behind the
// decision can write there: a list of who may pass that whoever passes can add to.

// A keeping is data of the one who comes in, written where the app keeps it.
type keeping struct {
	place  string
	labels uint32
	conds  uint32
	at     *chain
}

// maxKeepings bounds what one run remembers of such.
const maxKeepings = 64

// placed notes which file a stream stands for. What is read from it bears a label that names the file. That is no gate by itself: only
// what is asked about who calls is.
func (r *run) placed(s *site, o uint32, path value) {
	place := ""
	if v := r.content(s.cur, path); v.kind == text || v.kind == suffix {
		place = r.texts[v.n]
	}
	if r.whole || len(place) < 3 { // "/1" is the end of too many
		return
	}
	r.write(s.cur, o, keyPlace, r.text(place), true)
	if class := r.p.syms.text[r.objects[o].class]; !sinksInto(class) {
		l := r.mark("kept", place, "a file of the app's own", false, r.at(s.f, s.in.PC))
		r.objects[o].label = r.labelSets.union(r.objects[o].label, l)
	}
}

// opensFile reports whether objects of a class are made to read or write the file that is named first.
func opensFile(class string) bool {
	switch class {
	case "Ljava/io/FileInputStream;", "Ljava/io/FileOutputStream;", "Ljava/io/FileReader;", "Ljava/io/FileWriter;", "Ljava/io/RandomAccessFile;":
		return true
	}
	return false
}

// keepsIn notes that data is written to a stream, if a file is behind it and the data is an outsider's.
func (r *run) keepsIn(s *site, o uint32, v value) {
	if at, ok := s.cur.heap.get(fieldKey(o, keyPlace)); ok {
		if place, ok := r.isText(at); ok {
			r.keeps(s, place, v)
		}
	}
}

func (r *run) keeps(s *site, place string, v value) {
	labels := r.deep(s.cur.heap, v)
	if r.whole || len(r.keepings) >= maxKeepings || !r.callers(labels) {
		return
	}
	if k := (keeping{place, labels, s.cur.conds, r.at(s.f, s.in.PC)}); !slices.Contains(r.keepings, k) {
		r.keepings = append(r.keepings, k)
	}
}

// written reports whether data of the one who comes in was written to a place.
func (r *run) written(place string) bool {
	return slices.ContainsFunc(r.keepings, func(k keeping) bool { return k.place == place })
}

// comesIn reports whether a label set has data of the one who comes in, straight from him or by way of a file.
func (r *run) comesIn(set uint32) bool {
	return r.callers(set) || slices.ContainsFunc(r.labelSets.items[set], func(l uint32) bool {
		return r.labels[l].kind == "kept" && r.written(r.labels[l].key)
	})
}

// inFile returns what was written into the file that v names: whose data, what was asked on the way there, and where.
func (r *run) inFile(cur *local, v value) (labels, conds uint32, at []*chain) {
	v = r.content(cur, v)
	if v.kind != text && v.kind != suffix {
		return 0, 0, nil
	}
	path := r.texts[v.n]
	for _, k := range r.keepings {
		short, long := k.place, path
		if len(short) > len(long) {
			short, long = long, short
		}
		if len(short) < 5 || !strings.HasSuffix(long, short) {
			continue
		}
		if at == nil || len(r.condSets.items[k.conds]) < len(r.condSets.items[conds]) { // the way with the fewest questions
			conds = k.conds
		}
		labels, at = r.labelSets.union(labels, k.labels), append(at, k.at)
	}
	return labels, conds, at
}

// ofPreference is the place of a preference.
func ofPreference(key string) string { return "the preference " + key }

// writable says, of a decision on the way to an effect, that what it compares with can be written by who gets past it, or by anybody who
// comes in; "" if neither is seen.
func (r *run) writable(t *test, g *Gate, conds uint32) string {
	for _, l := range r.labelSets.items[t.left] {
		place := r.labels[l].key
		words := "a file (" + place + ")"
		switch r.labels[l].kind {
		case "kept":
			if !g.Caller { // what is looked at is the file itself
				continue
			}
		case "stored":
			place = ofPreference(place)
			words = place
		default:
			continue
		}
		for _, k := range r.keepings {
			if k.place != place {
				continue
			}
			stopped, behind := false, true
			for _, c := range r.condSets.items[k.conds] {
				if r.stops(c) {
					stopped = true
					behind = behind && slices.Contains(r.condSets.items[conds], c)
				}
			}
			switch {
			case !stopped:
				return "; what it looks into is kept in " + words + ", where anybody who comes in can write"
			case behind:
				return "; what it looks into is kept in " + words + ", where the code behind it can write: whoever was let in once can let others in"
			}
		}
	}
	return ""
}

// keptModels note the files that the platform opens by name, and what goes into preferences.
func keptModels(on func(class, names string, f func(*run, *site) value)) {
	on("Landroid/content/Context;", "openFileInput openFileOutput", func(r *run, s *site) value {
		v := r.general(s)
		for _, o := range r.objectsOf(v) {
			r.placed(s, o, s.arg(1))
		}
		return v
	})
	on("Landroid/content/SharedPreferences$Editor;", "putString putInt putBoolean putLong putFloat putStringSet", func(r *run, s *site) value {
		if key, ok := r.isText(r.content(s.cur, s.arg(1))); ok {
			r.keeps(s, ofPreference(key), s.arg(2))
		}
		return put(r, s)
	})
}
