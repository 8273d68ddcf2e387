package gateway_test

import (
	"os"
	"testing"

	"github.com/stagedoor/stagedoor/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }
