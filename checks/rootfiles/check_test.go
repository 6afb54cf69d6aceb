package rootfiles

import (
	"testing"

	"gifthorse/check/checktest"
)

func Test(t *testing.T) { checktest.Run(t, Check) }
