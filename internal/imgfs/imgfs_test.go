package imgfs

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gifthorse/internal/cursor"
)

// A made is an image in memory: by number, a directory's entries or a file's contents.
type made map[uint64]*file

type file struct {
	id      uint64
	mode    fs.FileMode
	body    string
	entries []dirent
}

func (f *file) Node() Node {
	return Node{ID: f.id, Off: int64(f.id) * 100, Mode: f.mode, Size: int64(len(f.body))}
}

func (m made) tree() *Tree[*file, string] {
	return New(Format[*file, string]{Root: 1,
		Inode: func(id uint64) (*file, error) {
			f := m[id]
			if f == nil {
				return nil, cursor.Errorf(int64(id), "no inode %d", id)
			}
			f.id = id
			return f, nil
		},
		Dir: func(f *file) *Dir {
			d := &Dir{}
			for _, e := range f.entries {
				d.Add([]byte(e.name), e.id, e.typ, 7)
			}
			return d
		},
		Content: func(f *file) (io.ReaderAt, error) { return strings.NewReader(f.body), nil },
		Info:    func(f *file) (string, error) { return "label of " + f.body, nil },
	})
}

func sample() made {
	return made{
		1: {mode: fs.ModeDir | 0o755, entries: []dirent{{"..", 1, fs.ModeDir}, {"sub", 2, fs.ModeDir}, {"a", 3, 0}, {"link", 4, fs.ModeSymlink}, {"null", 5, fs.ModeDevice}}},
		2: {mode: fs.ModeDir | 0o700, entries: []dirent{{"deep", 3, 0}}},
		3: {mode: 0o644, body: "contents"},
		4: {mode: fs.ModeSymlink | 0o777, body: "a"},
		5: {mode: fs.ModeDevice | 0o666, body: "no data"},
	}
}

func TestTree(t *testing.T) {
	tree := sample().tree()
	// Links are not followed, which fstest demands of what is called like a file.
	if err := fstest.TestFS(noLinks{tree}, "a", "sub/deep"); err != nil {
		t.Error(err)
	}
	if to, err := tree.ReadLink("link"); to != "a" || err != nil {
		t.Errorf("link to %q, %v", to, err)
	}
	if b, err := fs.ReadFile(tree, "null"); len(b) > 0 || err != nil {
		t.Errorf("a device holds %q, %v", b, err)
	}
	if s, err := tree.Info("sub/deep"); s != "label of contents" || err != nil {
		t.Errorf("%q, %v", s, err)
	}
	for _, name := range []string{"no", "a/b", "sub/../a", "/a", ""} {
		if _, err := tree.Stat(name); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

type noLinks struct{ fs.FS }

func (n noLinks) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(n.FS, name)
	return slices.DeleteFunc(list, func(d fs.DirEntry) bool { return d.Type()&^fs.ModeDir != 0 }), err
}

func (n noLinks) Open(name string) (fs.File, error) {
	f, err := n.FS.Open(name)
	if d, ok := f.(*openDir); ok {
		d.list = func() ([]fs.DirEntry, error) { return n.ReadDir(name) }
	}
	return f, err
}

func TestMadeUp(t *testing.T) {
	for what, edit := range map[string]func(made){
		"a name twice":                  func(m made) { m[1].entries = append(m[1].entries, dirent{"a", 3, 0}) },
		"a name that is none":           func(m made) { m[1].entries = append(m[1].entries, dirent{"a/b", 3, 0}) },
		"a directory that holds itself": func(m made) { m[2].entries = append(m[2].entries, dirent{"again", 2, fs.ModeDir}) },
		"an inode that is not there":    func(m made) { m[2].entries = append(m[2].entries, dirent{"lost", 9, 0}) },
	} {
		m := sample()
		edit(m)
		tree, found, files := m.tree(), false, 0
		fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if files++; files > 100 {
				t.Fatalf("%s: a tree without end", what)
			}
			if err == nil {
				_, err = d.Info()
			}
			if _, ok := errors.AsType[*cursor.FormatError](err); ok {
				found = true
			}
			return nil
		})
		if b, err := fs.ReadFile(tree, "a"); !found || files < 5 || string(b) != "contents" && err == nil {
			t.Errorf("%s: %d files, found out: %v; a is %q, %v", what, files, found, b, err)
		}
	}
}
