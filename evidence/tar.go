package evidence

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// listTar lists the members of a tar that lies in memory. They are read in place, but for sparse ones.
func (o *opener) listTar(f *File, b []byte) []entry {
	var out []entry
	seen := map[string]*File{} // for hard links, which name an earlier member
	in := bytes.NewReader(b)
	r := tar.NewReader(in)
	for o.e.ctx.Err() == nil {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			if w := explain(err); w.reason == CutShort {
				o.e.note(f.Ref, CutShort, fmt.Sprintf("the tar ends early, after %d files", len(out)))
			} else {
				o.e.note(f.Ref, Damaged, fmt.Sprintf("the tar is damaged behind %d files; the rest is not read", len(out)))
			}
			break
		}
		if !o.count(f, h.Name) {
			break
		}
		if h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		m := newFile(f.Ref.Inner(h.Name), h.Size, h.FileInfo().Mode())
		tarOwner(m, h)
		out = append(out, entry{h.Name, m})
		off := int64(len(b) - in.Len())
		switch h.Typeflag {
		case tar.TypeReg, '\x00', tar.TypeCont, tar.TypeGNUSparse:
			m.blob = &blob{ev: o.e, src: o.tarSource(h, r, b, off)}
			seen[h.Name] = m
			if w, bad := m.blob.src.(*failure); bad {
				o.e.note(m.Ref, w.reason, w.detail)
			}
		case tar.TypeLink:
			if to := seen[h.Linkname]; to != nil {
				m.blob, m.Size = to.blob, to.Size
			} else {
				m.blob = &blob{ev: o.e, src: &failure{Absent, "a hard link to " + h.Linkname + ", which is not before it"}}
				o.e.note(m.Ref, Absent, "a hard link to "+h.Linkname+", which is not before it")
			}
		case tar.TypeSymlink:
			o.link(m, h.Linkname)
		}
	}
	return out
}

func (o *opener) tarSource(h *tar.Header, r *tar.Reader, b []byte, off int64) source {
	if !sparse(h) {
		if h.Size > int64(len(b))-off {
			return &failure{CutShort, fmt.Sprintf("%d of its %d bytes are there", int64(len(b))-off, h.Size)}
		}
		return memory(b[off:][:h.Size:h.Size])
	}
	if tooDense(int64(len(b)), h.Size) || !o.mayInflate(h.Size) {
		return &failure{TooLarge, fmt.Sprintf("a sparse file of %d bytes", h.Size)}
	}
	data, err := o.e.spool.put(o.e.ctx, h.Size, r)
	if err != nil {
		return explain(err)
	}
	return memory(data)
}

func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func tarOwner(m *File, h *tar.Header) {
	m.HasOwner, m.UID, m.GID = true, h.Uid, h.Gid
	const xattr = "SCHILY.xattr." // as star and GNU tar --xattrs write them
	m.Label = strings.TrimRight(h.PAXRecords[xattr+"security.selinux"], "\x00")
	// struct vfs_cap_data (Linux include/uapi/linux/capability.h): revision, then permitted and inheritable,
	// low and from revision 2 high halves.
	if c := []byte(h.PAXRecords[xattr+"security.capability"]); len(c) >= 12 {
		m.Caps = uint64(binary.LittleEndian.Uint32(c[4:]))
		if len(c) >= 20 {
			m.Caps |= uint64(binary.LittleEndian.Uint32(c[12:])) << 32
		}
	}
}
