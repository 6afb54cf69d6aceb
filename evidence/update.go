package evidence

import (
	"cmp"
	"fmt"
	"io"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"gifthorse/format/ota"
	"gifthorse/internal/cursor"
)

// enterPayload lists the partitions that a payload.bin writes.
func (o *opener) enterPayload(f *File, depth int) error {
	r, err := f.reader()
	if err != nil {
		return err
	}
	p, err := ota.NewPayload(r, f.Size)
	if err != nil {
		return err
	}
	t := &tree{at: f.Ref, partitions: true}
	for i := range p.Partitions {
		part := &p.Partitions[i]
		if !o.count(f, part.Name) {
			break
		}
		m := o.partition(t, part.Name, part.NewSize)
		m.blob.src = o.payloadSource(p, part, m)
		if why, bad := m.blob.src.(*failure); bad {
			o.e.note(m.Ref, why.reason, why.detail)
		}
	}
	o.enterTree(t, depth+1)
	return nil
}

func (o *opener) payloadSource(p *ota.Payload, part *ota.Partition, m *File) source {
	if part.Delta != nil {
		return &failure{Unsupported, "it is made from the phone's old partition: " + explain(part.Delta).detail}
	}
	var written uint64
	for i := range part.Operations {
		for _, x := range part.Operations[i].Dst {
			written += x.Blocks // at most 2^50 in an operation, of which there are 2^20: no overflow that matters
			if written > uint64(part.NewSize/p.BlockSize)+1 {
				return &failure{Damaged, "it is written more than once"}
			}
		}
	}
	if !o.mayInflate(part.NewSize) {
		return &failure{TooLarge, "more than may be inflated in all"}
	}
	return &payloadPartition{p: p, part: part, img: part.Open(), at: m.Ref}
}

// A payloadPartition is a partition in a payload. Its operations are packed each by itself, and who reads
// its files reads all over it, so it is unpacked once as a whole, without the hash tree and the error correction
// that the phone would compute.
type payloadPartition struct {
	p    *ota.Payload
	part *ota.Partition
	img  *ota.Image
	at   Ref

	once     sync.Once
	unpacked *unpacked
	err      error
}

func (p *payloadPartition) head(e *Evidence, n int) ([]byte, error) {
	return readHead(io.NewSectionReader(p.img, 0, p.img.Size()), n)
}

func (p *payloadPartition) load(e *Evidence) ([]byte, string, error) {
	if _, err := p.reader(e); err != nil {
		return nil, "", err
	}
	if n := len(p.unpacked.lost); n > 0 {
		return p.unpacked.b, fmt.Sprintf("%d stretches of it cannot be unpacked and are zeros", n), nil
	}
	return p.unpacked.b, "", nil
}

func (p *payloadPartition) reader(e *Evidence) (io.ReaderAt, error) {
	p.once.Do(func() { p.unpacked, p.err = p.unpack(e) })
	return p.unpacked, p.err
}

// An unpacked is a partition of a payload, and what of it could not be had.
type unpacked struct {
	b    memory
	lost []lostBytes // in order
}

type lostBytes struct {
	from, to int64
	err      error
}

func (p *payloadPartition) unpack(e *Evidence) (*unpacked, error) {
	u := &unpacked{}
	size := p.img.Size()
	b, err := e.spool.fill(size, func(w io.WriterAt) error {
		var next atomic.Int64
		var wg sync.WaitGroup
		var mu sync.Mutex
		var failed error
		for range runtime.GOMAXPROCS(0) {
			wg.Go(func() {
				buf := buffers.Get().(*[]byte)
				defer buffers.Put(buf)
				for e.ctx.Err() == nil {
					i := int(next.Add(1)) - 1
					if i >= len(p.part.Operations) {
						return
					}
					lost, err := p.copy(w, &p.part.Operations[i], *buf)
					if len(lost) > 0 || err != nil {
						mu.Lock()
						u.lost = append(u.lost, lost...)
						failed = cmp.Or(failed, err)
						mu.Unlock()
						if err != nil {
							return
						}
					}
				}
			})
		}
		wg.Wait()
		if err := e.ctx.Err(); err != nil {
			return err
		}
		return failed
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(u.lost, func(a, b lostBytes) int { return cmp.Compare(a.from, b.from) })
	for _, l := range u.lost {
		w := explain(l.err)
		e.note(p.at.At("", l.from), w.reason, fmt.Sprintf("%d bytes cannot be unpacked: %s", l.to-l.from, w.detail))
	}
	u.b = b
	return u, nil
}

// copy writes what an operation makes. What is lost is not asked for again, for each time costs as much.
func (p *payloadPartition) copy(w io.WriterAt, op *ota.Operation, buf []byte) (lost []lostBytes, err error) {
	if op.Type == ota.Zero || op.Type == ota.Discard {
		return nil, nil
	}
	bs := p.p.BlockSize
	var bad error
	for _, x := range op.Dst {
		if x.Start > uint64(p.img.Size()/bs) { // the mark of a hole that is not written
			continue
		}
		from := int64(x.Start) * bs
		to := min(from+int64(x.Blocks)*bs, p.img.Size())
		for off := from; off < to && bad == nil; {
			n, err := p.img.ReadAt(buf[:min(int64(len(buf)), to-off)], off)
			if _, err := w.WriteAt(buf[:n], off); err != nil {
				return nil, spoolError{err}
			}
			off += int64(n)
			if n == 0 || err != nil && err != io.EOF {
				bad = cmp.Or(err, io.ErrUnexpectedEOF)
				from = off
			}
		}
		if bad != nil {
			lost = append(lost, lostBytes{from, to, bad})
		}
	}
	return lost, nil
}

// ReadAt refuses what is lost.
func (u *unpacked) ReadAt(b []byte, off int64) (int, error) {
	for _, l := range u.lost {
		if off < l.to && off+int64(len(b)) > l.from {
			return 0, l.err
		}
	}
	return u.b.ReadAt(b, off)
}

// Slice gives what is not lost: see [cursor.Slice].
func (u *unpacked) Slice(off, n int64) []byte {
	for _, l := range u.lost {
		if off < l.to && n > l.from-off {
			return nil
		}
	}
	return cursor.Slice(u.b, off, n)
}

// A blockUpdate is a partition that a block-based update writes: NAME.transfer.list and NAME.new.dat, which
// may be packed with brotli (NAME.new.dat.br).
type blockUpdate struct {
	list, dat *File
	name      string // of the partition
	packed    bool
}

// blockUpdates finds them among the members of a package.
func blockUpdates(list []entry) (byList map[*File]blockUpdate, rest map[*File]bool) {
	byName := map[string]*File{}
	for _, ent := range list {
		byName[ent.name] = ent.file
	}
	byList, rest = map[*File]blockUpdate{}, map[*File]bool{}
	for _, ent := range list {
		stem, ok := strings.CutSuffix(ent.name, ".transfer.list")
		if !ok || ent.file.blob == nil {
			continue
		}
		u := blockUpdate{list: ent.file, name: path.Base(stem)}
		if u.dat = byName[stem+".new.dat"]; u.dat == nil {
			u.dat, u.packed = byName[stem+".new.dat.br"], true
		}
		if u.dat != nil && u.dat.blob != nil {
			byList[ent.file] = u
			rest[u.dat] = true
		}
	}
	return byList, rest
}

// enterBlockUpdate opens the partition that an update writes. Its address is that of the *.new.dat.
func (o *opener) enterBlockUpdate(u blockUpdate, depth int) error {
	if why := o.mayOpen(u.dat, depth); why != "" {
		return &failure{TooLarge, why}
	}
	text, err := u.list.Data()
	if err != nil {
		return err
	}
	list, err := ota.NewTransferList(text)
	if err != nil {
		return err
	}
	if list.Delta != nil {
		return &failure{Unsupported, "it is made from the phone's old partition: " + explain(list.Delta).detail}
	}
	dat, err := u.dat.reader()
	if err != nil {
		return err
	}
	size := u.dat.Size
	if u.packed {
		if tooDense(size, list.NewBytes) || !o.mayInflate(list.NewBytes) {
			return &failure{TooLarge, fmt.Sprintf("%d bytes that claim to hold %d", size, list.NewBytes)}
		}
		r, w := io.Pipe()
		go func() { w.CloseWithError(list.Unpack(w, io.NewSectionReader(dat, 0, size))) }()
		b, err := o.e.spool.stream(o.e.ctx, list.NewBytes, r, func(n int64) {
			o.progress(Progress{Stage: "unpack", Item: u.dat.Ref.String(), Done: n, Total: list.NewBytes})
		})
		r.CloseWithError(io.ErrClosedPipe)
		if err != nil {
			if o.e.ctx.Err() != nil {
				return nil
			}
			o.e.note(u.dat.Ref, explain(err).reason, explain(err).detail)
		}
		dat, size = memory(b), int64(len(b))
	}
	img := list.Open(dat, size)
	m := newFile(u.dat.Ref, img.Size(), 0)
	m.blob = &blob{ev: o.e, src: region{img, img.Size()}}
	if k, _ := o.look(m, u.name, depth+1, false); k == "" {
		o.unknownPartition(entry{u.name, m})
	}
	return nil
}
