package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/narudata/naru/flow"
)

// parquetRows reads the records of a Parquet file: of its columns only those of each record.
type parquetRows struct {
	file       *parquet.File
	at         [baseCount]int // where the columns are
	group      int            // the row group being read, from 0
	left       int64          // rows of it that are left
	columns    [baseCount]columnReader
	index, typ name
}

const baseCount = 5

// A columnReader reads the values of one column of a row group.
type columnReader struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    []parquet.Value // what is read of the page
	next   int             // in buf
}

func openParquetRows(f io.ReaderAt, size int64) (_ *parquetRows, err error) {
	defer recovered(&err)
	file, err := parquet.OpenFile(f, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true),
		parquet.ReadBufferSize(256<<10))
	if err != nil {
		return nil, err
	}
	r := &parquetRows{file: file, group: -1}
	for i, name := range baseColumns {
		leaf, ok := file.Schema().Lookup(name)
		if !ok || leaf.Node.Type().Kind() != parquet.ByteArray || leaf.Node.Repeated() {
			return nil, fmt.Errorf("the column %s is missing, or is not text", name)
		}
		r.at[i] = leaf.ColumnIndex
	}
	return r, nil
}

// recovered turns a panic of the Parquet reader, which does not expect every damage, into an error.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("damaged Parquet: %v", p)
	}
}

// openGroup goes to a row of a row group.
func (r *parquetRows) openGroup(group int, row int64) error {
	r.closeGroup()
	g := r.file.RowGroups()[group]
	r.group = group
	r.left = g.NumRows() - row
	for i := range r.columns {
		c := &r.columns[i]
		c.pages = g.ColumnChunks()[r.at[i]].Pages()
		if row > 0 {
			if err := c.pages.SeekToRow(row); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *parquetRows) closeGroup() {
	for i := range r.columns {
		c := &r.columns[i]
		if c.page != nil {
			parquet.Release(c.page)
		}
		if c.pages != nil {
			c.pages.Close() //nolint:errcheck // only read
		}
		*c = columnReader{buf: c.buf[:0]}
	}
}

func (r *parquetRows) skip(ctx context.Context, n int64) (err error) {
	defer recovered(&err)
	for i, g := range r.file.RowGroups() {
		if rows := g.NumRows(); n >= rows {
			n -= rows
			r.group, r.left = i, 0
			continue
		}
		return r.openGroup(i, n)
	}
	if n > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (r *parquetRows) read(b *flow.Batch) (err error) {
	defer recovered(&err)
	for r.left == 0 {
		if r.group+1 >= len(r.file.RowGroups()) {
			return io.EOF
		}
		if err := r.openGroup(r.group+1, 0); err != nil {
			return err
		}
	}
	var v [baseCount]parquet.Value
	for i := range r.columns {
		if v[i], err = r.columns[i].read(); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("column %s: %w", baseColumns[i], err)
		}
	}
	r.left--
	rec := flow.Record{
		Index: r.index.of(v[colIndex].ByteArray()),
		Key:   b.Copy(v[colID].ByteArray()),
	}
	if !v[colType].IsNull() {
		rec.Type = r.typ.of(v[colType].ByteArray())
	}
	if !v[colRouting].IsNull() {
		rec.Routing = b.Copy(v[colRouting].ByteArray())
	}
	if !v[colSource].IsNull() {
		rec.Body = b.Copy(v[colSource].ByteArray())
	}
	b.Records = append(b.Records, rec)
	return nil
}

// read gives the next value, valid until the following call.
func (c *columnReader) read() (parquet.Value, error) {
	for c.next == len(c.buf) {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.values = page, page.Values()
		}
		if cap(c.buf) == 0 {
			c.buf = make([]parquet.Value, 0, 128)
		}
		n, err := c.values.ReadValues(c.buf[:cap(c.buf)])
		c.buf, c.next = c.buf[:n], 0
		if errors.Is(err, io.EOF) {
			if n > 0 {
				break
			}
			parquet.Release(c.page)
			c.page, c.values = nil, nil
		} else if err != nil {
			return parquet.Value{}, err
		}
	}
	c.next++
	return c.buf[c.next-1], nil
}

func (r *parquetRows) close() { r.closeGroup() }
