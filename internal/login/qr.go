package login

import (
	"errors"
	"strings"

	"rsc.io/qr"
)

// drawQR draws a text as a QR code, two modules in each character, light on
// dark, with the quiet zone that scanners want.
func drawQR(text string) (string, error) {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", err
	}
	const quiet, widest = 2, 80 // a wrapped one cannot be read
	if code.Size+2*quiet > widest {
		return "", errors.New("QR code is wider than a terminal")
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("\x1b[97;40m") // white on black, whatever the terminal's own are
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := !code.Black(x, y), !code.Black(x, y+1)
			b.WriteString(map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}[[2]bool{upper, lower}])
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String(), nil
}
