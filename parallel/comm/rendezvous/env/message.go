package env

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// What a message says.
const (
	hello  = iota // rank, of so many processes: the first of each
	alive         // nothing else
	shared        // bytes of the first process
	ended         // a world, and why
	lost          // the job, and why
	bye           // the process leaves
	dying         // all end, with a status
)

// message is one of these. Its bytes are a head of 17 (kind, rank, number, length of the text; little-endian) and the text.
type message struct {
	kind   byte
	rank   int // of a hello
	number int64
	text   []byte
}

const (
	headBytes = 17
	mostBytes = 1 << 24
)

func (m message) bytes() []byte {
	le := binary.LittleEndian
	b := []byte{m.kind}
	b = le.AppendUint32(b, uint32(m.rank))
	b = le.AppendUint64(b, uint64(m.number))
	b = le.AppendUint32(b, uint32(len(m.text)))
	return append(b, m.text...)
}

// read takes the next message of a connection.
func read(r io.Reader) (message, error) {
	var head [headBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return message{}, err
	}
	le := binary.LittleEndian
	n := le.Uint32(head[13:])
	if head[0] > dying || n > mostBytes {
		return message{}, fmt.Errorf("a message of kind %d and %d bytes", head[0], n)
	}
	m := message{kind: head[0], rank: int(int32(le.Uint32(head[1:]))), number: int64(le.Uint64(head[5:])), text: make([]byte, n)}
	_, err := io.ReadFull(r, m.text)
	return m, err
}

// peer is a connection to another process.
type peer struct {
	conn net.Conn

	writing sync.Mutex

	mu    sync.Mutex
	heard time.Time
	left  bool
}

// write sends a message. A peer that takes none for long is as good as gone.
func (p *peer) write(m message) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.conn.SetWriteDeadline(time.Now().Add(silence))
	_, err := p.conn.Write(m.bytes())
	return err
}
