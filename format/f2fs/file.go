package f2fs

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"gifthorse/internal/cursor"
)

// Open opens the named file. What it returns is a *[File]; a directory is an fs.ReadDirFile. A symbolic link reads as its
// target, devices, pipes and sockets are empty.
func (f *FS) Open(name string) (fs.File, error) {
	ino, err := f.resolve("open", name)
	if err != nil {
		return nil, err
	}
	info := fileInfo{ino, path.Base(name)}
	if ino.mode.IsDir() {
		return &openDir{fs: f, info: info, path: name}, nil
	}
	return f.openFile(info, name)
}

func (f *FS) openFile(info fileInfo, name string) (fs.File, error) {
	var r io.ReaderAt = strings.NewReader("")
	if t := info.mode.Type(); t == 0 || t == fs.ModeSymlink {
		c, err := f.content(info.inode)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		r = c
	}
	return &File{io.NewSectionReader(r, 0, info.size), info}, nil
}

// target returns where a symbolic link points.
func (f *FS) target(ino *inode) (string, error) {
	if ino.size > maxPath {
		return "", cursor.Errorf(ino.at+16, "a symbolic link of %d bytes", ino.size)
	}
	c, err := f.content(ino)
	if err != nil {
		return "", err
	}
	b := make([]byte, ino.size)
	if n, err := c.ReadAt(b, 0); n < len(b) {
		return "", err
	}
	return string(b), nil
}

// A File is an opened file that is no directory.
type File struct {
	*io.SectionReader
	info fileInfo
}

// Stat describes the file.
func (f *File) Stat() (fs.FileInfo, error) { return f.info, nil }

// Close does nothing: the image belongs to whoever opened it.
func (f *File) Close() error { return nil }

// An openDir is an opened directory.
type openDir struct {
	fs   *FS
	info fileInfo
	path string
	list []fs.DirEntry // what is left, once read
	err  error
	read bool
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.info, nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.path, Err: errors.New("is a directory")}
}

func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		d.read = true
		if d.list, d.err = d.fs.entries(d.info.inode); d.err != nil {
			d.err = &fs.PathError{Op: "readdir", Path: d.path, Err: d.err}
		}
	}
	if n <= 0 {
		list := d.list
		d.list = nil
		return list, d.err
	}
	if len(d.list) == 0 {
		if d.err != nil {
			return nil, d.err
		}
		return nil, io.EOF
	}
	n = min(n, len(d.list))
	list := d.list[:n:n]
	d.list = d.list[n:]
	return list, nil
}
