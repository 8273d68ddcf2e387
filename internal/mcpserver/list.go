package mcpserver

// appendList answers tools/list with the server's ready-made result.
func (s *server) appendList(dst []byte, e era, m *envelope) []byte {
	if fault := m.checkCursor(); fault != nil {
		return fault.append(dst, m.id)
	}
	dst = append(appendHead(dst, m.id), `,"result":`...)
	dst = append(dst, s.list[e]...)
	return append(dst, '}')
}

// sendList is appendList without copying the list.
func (x *exchange) sendList(e era, m *envelope) {
	if fault := m.checkCursor(); fault != nil {
		x.fail(m.id, fault)
		return
	}
	head := append(appendHead(make([]byte, 0, 64), m.id), `,"result":`...)
	x.send(200, head, x.server.list[e], []byte{'}'})
}

// checkCursor refuses cursors: the list is one page, so none was ever given out.
func (e *envelope) checkCursor() *rpcError {
	if e.cursor != nil && string(e.cursor) != "null" {
		return invalidParams("cursor is not one of this list")
	}
	return nil
}
