package program

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rc4"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"slices"
	"strconv"
	"strings"
)

// codings are Base64 in its two classes.
func codings(pure pureModeller) {
	const (
		android = "Landroid/util/Base64;"
		decoder = "Ljava/util/Base64$Decoder;"
		encoder = "Ljava/util/Base64$Encoder;"
	)
	pure(android, "decode", func(k *inputs) value {
		var b []byte
		if k.param(0) == classString {
			b = []byte(k.text(0))
		} else {
			b = k.part(0)
		}
		out, ok := androidDecode(b, k.num(len(k.s.args)-1))
		if !ok {
			return k.unknown()
		}
		return k.bytesValue(out)
	})
	pure(android, "encode encodeToString", func(k *inputs) value {
		b := k.part(0)
		t := androidEncode(b, k.num(len(k.s.args)-1))
		if k.s.name == "encode" {
			return k.bytesValue([]byte(t))
		}
		return k.textValue(t)
	})
	pure("Ljava/util/Base64;", "getDecoder getUrlDecoder getMimeDecoder getEncoder getUrlEncoder getMimeEncoder", func(k *inputs) value {
		if len(k.s.args) > 0 {
			return k.unknown()
		}
		return k.made(map[uint32]string{keyName: k.s.name[3:]})
	})
	pure(encoder, "withoutPadding", func(k *inputs) value { return k.made(map[uint32]string{keyName: k.held(0, keyName) + " raw"}) })
	pure(decoder, "decode", func(k *inputs) value {
		var t string
		switch {
		case len(k.s.args) > 2:
			return k.unknown()
		case k.param(1) == classString:
			t = k.text(1)
		default:
			t = string(k.bytes(1))
		}
		b, ok := javaDecode(k.held(0, keyName), t)
		if !ok {
			return k.unknown()
		}
		return k.bytesValue(b)
	})
	pure(encoder, "encode encodeToString", func(k *inputs) value {
		if len(k.s.args) > 2 {
			return k.unknown()
		}
		t := javaEncode(k.held(0, keyName), k.bytes(1))
		if k.s.name == "encode" {
			return k.bytesValue([]byte(t))
		}
		return k.textValue(t)
	})
}

// The flags of android.util.Base64.
const (
	base64NoPadding = 1 << iota
	base64NoWrap
	base64CRLF
	base64URL
)

// androidDecode decodes as android.util.Base64 does: what is no letter of the alphabet is passed over, padding may be
// missing (AOSP frameworks/base/core/java/android/util/Base64.java, Decoder.process).
func androidDecode(in []byte, flags int64) ([]byte, bool) {
	c62, c63 := byte('+'), byte('/')
	if flags&base64URL != 0 {
		c62, c63 = '-', '_'
	}
	out := make([]byte, 0, len(in)*3/4)
	var acc uint32
	n, pads := 0, 0 // letters since the last group, signs of padding
	for _, c := range in {
		var d byte
		switch {
		case c >= 'A' && c <= 'Z':
			d = c - 'A'
		case c >= 'a' && c <= 'z':
			d = c - 'a' + 26
		case c >= '0' && c <= '9':
			d = c - '0' + 52
		case c == c62:
			d = 62
		case c == c63:
			d = 63
		case c == '=':
			if n < 2 || n+pads == 4 {
				return nil, false
			}
			pads++
			continue
		default:
			continue
		}
		if pads > 0 {
			return nil, false
		}
		acc = acc<<6 | uint32(d)
		if n++; n == 4 {
			out = append(out, byte(acc>>16), byte(acc>>8), byte(acc))
			n, acc = 0, 0
		}
	}
	switch {
	case n == 1 || pads > 0 && n+pads != 4:
		return nil, false
	case n == 2:
		out = append(out, byte(acc>>4))
	case n == 3:
		out = append(out, byte(acc>>10), byte(acc>>2))
	}
	return out, true
}

// androidEncode encodes as android.util.Base64 does: in lines of 76 letters, each with its end.
func androidEncode(b []byte, flags int64) string {
	enc := base64.StdEncoding
	if flags&base64URL != 0 {
		enc = base64.URLEncoding
	}
	if flags&base64NoPadding != 0 {
		enc = enc.WithPadding(base64.NoPadding)
	}
	t := enc.EncodeToString(b)
	if flags&base64NoWrap != 0 || t == "" {
		return t
	}
	end := "\n"
	if flags&base64CRLF != 0 {
		end = "\r\n"
	}
	var out strings.Builder
	for len(t) > 0 {
		n := min(76, len(t))
		out.WriteString(t[:n] + end)
		t = t[n:]
	}
	return out.String()
}

// javaDecode decodes as the decoders of java.util.Base64 do: strictly, but for MIME's, which passes over what is no
// letter; padding may be missing.
func javaDecode(name, t string) ([]byte, bool) {
	enc := base64.StdEncoding
	switch name {
	case "UrlDecoder":
		enc = base64.URLEncoding
	case "MimeDecoder":
		if _, pad, ok := strings.Cut(t, "="); ok && strings.LastIndexByte(pad, '=') > 0 {
			return nil, false
		}
		t = strings.Map(func(c rune) rune {
			if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' || c == '=' {
				return c
			}
			return -1
		}, t)
	case "Decoder":
	default:
		return nil, false
	}
	if strings.ContainsAny(t, "\r\n") {
		return nil, false
	}
	if !strings.Contains(t, "=") {
		enc = enc.WithPadding(base64.NoPadding)
	}
	b, err := enc.DecodeString(t)
	return b, err == nil
}

func javaEncode(name string, b []byte) string {
	name, raw := strings.CutSuffix(name, " raw")
	enc := base64.StdEncoding
	if name == "UrlEncoder" {
		enc = base64.URLEncoding
	}
	if raw {
		enc = enc.WithPadding(base64.NoPadding)
	}
	t := enc.EncodeToString(b)
	if name != "MimeEncoder" {
		return t
	}
	var out strings.Builder
	for len(t) > 76 {
		out.WriteString(t[:76] + "\r\n")
		t = t[76:]
	}
	return out.String() + t
}

// hashes are the digests by name, without what some write between.
var hashes = map[string]func() hash.Hash{"MD5": md5.New, "SHA": sha1.New, "SHA1": sha1.New, "SHA224": sha256.New224, "SHA256": sha256.New, "SHA384": sha512.New384, "SHA512": sha512.New}

func hashNamed(name string) func() hash.Hash {
	return hashes[strings.ReplaceAll(strings.ToUpper(name), "-", "")]
}

func macNamed(name string) func() hash.Hash {
	t, ok := strings.CutPrefix(strings.ToUpper(name), "HMAC")
	if !ok {
		return nil
	}
	return hashNamed(strings.TrimPrefix(t, "-"))
}

// maxRounds bounds the rounds of a key made of a password. Code that hides its own constants takes some
// thousand, for it has to be fast on a phone of its time.
const maxRounds = 20_000

// secrets are digests, MACs, keys and ciphers.
func secrets(on modeller, pure pureModeller, keeps keeper) {
	const (
		digest  = "Ljava/security/MessageDigest;"
		mac     = "Ljavax/crypto/Mac;"
		ciph    = "Ljavax/crypto/Cipher;"
		factory = "Ljavax/crypto/SecretKeyFactory;"
	)
	named := func(k *inputs) value { return k.made(map[uint32]string{keyName: k.text(0), keyFed: ""}) }
	for _, c := range [...]string{digest, mac, ciph, factory} {
		pure(c, "getInstance", named)
	}
	fed := func(k *inputs) []byte {
		b := []byte(k.held(0, keyFed))
		switch k.param(1) {
		case "B":
			return append(b, byte(k.num(1)))
		case "[B":
			return append(b, k.part(1)...)
		}
		k.open = true
		return nil
	}
	// finish gives what f makes of all that was fed, and begins anew.
	finish := func(class, names string, f func(k *inputs, all []byte) ([]byte, bool)) {
		on(class, names, func(r *run, s *site) value {
			k := &inputs{r: r, s: s}
			all := []byte(k.held(0, keyFed))
			if len(s.args) > 1 {
				all = fed(k)
			}
			var out []byte
			ok := strings.HasSuffix(s.proto, ")[B") && !k.open
			if ok {
				out, ok = f(k, all)
			}
			if !ok || k.open || len(out) > maxTextSize {
				t := r.labelsIn(s)
				v := r.rule(s)
				r.hold(s, keyFed, r.text(""))
				if r.comesIn(t) && class != ciph { // who knows what is asked for does not know what has to come in
					v.taint = r.labelSets.union(v.taint, r.mark("digest", "", "a digest of what came in", true, r.at(s.f, s.in.PC)))
				}
				return v
			}
			r.hold(s, keyFed, r.text(""))
			return r.bytesOf(s, out, k.taint)
		})
	}
	// A signature over what came in is a question; who can answer it has the key. What is signed was given to update.
	on("Ljava/security/Signature;", "verify", func(r *run, s *site) value {
		t := r.labelsIn(s)
		if !r.comesIn(t) {
			return value{taint: t}
		}
		return value{taint: t, test: r.ask(test{op: "proved", left: t, method: s.f.m, pc: s.in.PC, yes: 1})}
	})
	keeps(digest, "update", keyFed, fed)
	keeps(digest, "reset", keyFed, func(k *inputs) []byte { return nil })
	finish(digest, "digest", func(k *inputs, all []byte) ([]byte, bool) {
		h := hashNamed(k.held(0, keyName))
		if h == nil {
			return nil, false
		}
		sum := h()
		sum.Write(all)
		return sum.Sum(nil), true
	})

	// Keys and parameters hold their bytes.
	keeps("Ljavax/crypto/spec/SecretKeySpec;", "<init>", keyRaw, func(k *inputs) []byte {
		b := k.part(1)
		k.open = k.open || len(b) == 0 // is refused
		return b
	})
	keeps("Ljavax/crypto/spec/IvParameterSpec;", "<init>", keyRaw, func(k *inputs) []byte { return k.part(1) })
	for c, n := range map[string]int{"Ljavax/crypto/spec/DESKeySpec;": 8, "Ljavax/crypto/spec/DESedeKeySpec;": 24} {
		keeps(c, "<init>", keyRaw, func(k *inputs) []byte {
			b := k.bytes(1)
			from := 0
			if len(k.s.args) > 2 {
				from = k.index(2, len(b))
			}
			if len(b)-from < n {
				k.open = true
				return nil
			}
			return b[from : from+n]
		})
	}
	on("Ljavax/crypto/spec/GCMParameterSpec;", "<init>", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		b := k.part(2)
		r.rule(s)
		iv := r.text(string(b))
		if k.open {
			iv = value{}
		}
		iv.taint = r.labelsIn(s)
		r.hold(s, keyRaw, iv)
		r.hold(s, keyMode, s.arg(1))
		return value{}
	})
	on("Ljavax/crypto/spec/PBEKeySpec;", "<init>", func(r *run, s *site) value {
		// Rounds and bits stand before the salt.
		k := &inputs{r: r, s: s}
		password := fromUnits(k.units(1))
		held := value{}
		if len(s.args) == 5 {
			salt, rounds, size := k.bytes(2), k.num(3), k.num(4)
			if b, ok := encodeText(password, "UTF-8"); ok && !k.open && rounds > 0 && rounds <= maxRounds && size > 0 && size <= 512 && size%8 == 0 {
				held = r.text(string(b))
				held.taint = k.taint
				r.hold(s, keyIV, r.text(strconv.FormatInt(rounds, 10)+" "+strconv.FormatInt(size/8, 10)+" "+string(salt)))
			}
		}
		r.rule(s)
		if held.kind != text {
			held.taint = r.labelsIn(s)
			r.hold(s, keyIV, value{})
		}
		r.hold(s, keyRaw, held)
		return value{}
	})
	pure(factory, "generateSecret", func(k *inputs) value {
		name, raw := k.held(0, keyName), k.held(1, keyRaw)
		if strings.HasPrefix(strings.ToUpper(name), "DES") {
			return k.made(map[uint32]string{keyRaw: raw})
		}
		h, ok := strings.CutPrefix(strings.ToUpper(name), "PBKDF2WITH")
		f := macNamed(h)
		if name := k.held(1, keyIV); ok && f != nil && !k.open {
			fields := strings.SplitN(name, " ", 3)
			rounds, _ := strconv.Atoi(fields[0])
			size, _ := strconv.Atoi(fields[1])
			k.r.steps += rounds / 2 // a round takes about as long
			if key, err := pbkdf2.Key(f, raw, []byte(fields[2]), rounds, size); err == nil {
				return k.made(map[uint32]string{keyRaw: string(key)})
			}
		}
		return k.unknown()
	})
	pure("Ljava/security/Key;", "getEncoded", func(k *inputs) value { return k.bytesValue([]byte(k.held(0, keyRaw))) })
	pure("Ljavax/crypto/spec/IvParameterSpec;", "getIV", func(k *inputs) value { return k.bytesValue([]byte(k.held(0, keyRaw))) })

	// set stores what an init gives, or that it is not known.
	set := func(r *run, s *site, key uint32, v value) {
		if v.kind != text && v.kind != number {
			v = value{taint: r.labelSets.union(v.taint, r.labelsIn(s))}
		}
		r.hold(s, key, v)
	}
	raw := func(r *run, s *site, i int) value { // of a key or its parameters
		if len(r.objectsOf(s.arg(i))) == 0 {
			return value{taint: s.arg(i).taint}
		}
		return r.fieldGet(s.cur, s.arg(i), keyRaw, 0)
	}
	on(mac, "init", func(r *run, s *site) value {
		v := r.rule(s)
		set(r, s, keyKey, raw(r, s, 1))
		r.hold(s, keyFed, r.text(""))
		return v
	})
	keeps(mac, "update", keyFed, fed)
	keeps(mac, "reset", keyFed, func(k *inputs) []byte { return nil })
	finish(mac, "doFinal", func(k *inputs, all []byte) ([]byte, bool) {
		h := macNamed(k.held(0, keyName))
		key := k.held(0, keyKey)
		if h == nil || k.open {
			return nil, false
		}
		m := hmac.New(h, []byte(key))
		m.Write(all)
		return m.Sum(nil), true
	})
	on(ciph, "init", func(r *run, s *site) value {
		v := r.rule(s)
		set(r, s, keyMode, s.arg(1))
		set(r, s, keyKey, raw(r, s, 2))
		iv, tag := r.text(""), intVal(128)
		if p := paramType(s.proto, 2); len(s.args) > 3 && p != "Ljava/security/SecureRandom;" {
			iv = raw(r, s, 3)
			if len(r.objectsOf(s.arg(3))) > 0 {
				if t := r.fieldGet(s.cur, s.arg(3), keyMode, 0); t.kind == number {
					tag = t
				}
			}
		}
		set(r, s, keyIV, iv)
		set(r, s, keyRaw, r.text(strconv.FormatInt(tag.n, 10)))
		r.hold(s, keyFed, r.text(""))
		return v
	})
	// What an update gives of a cipher's output depends on how much is kept back: no more is known until it begins anew.
	on(ciph, "update updateAAD", func(r *run, s *site) value {
		t := r.labelsIn(s)
		v := r.rule(s)
		r.hold(s, keyFed, value{taint: t})
		return v
	})
	finish(ciph, "doFinal", func(k *inputs, all []byte) ([]byte, bool) {
		mode := k.r.fieldGet(k.s.cur, k.s.arg(0), keyMode, 0)
		tag, err := strconv.Atoi(k.held(0, keyRaw))
		key, iv, name := k.held(0, keyKey), k.held(0, keyIV), k.held(0, keyName)
		if mode.kind != number || mode.n != 1 && mode.n != 2 || err != nil || k.open {
			return nil, false
		}
		return crypt(name, mode.n == 2, []byte(key), []byte(iv), tag, all)
	})
}

// crypt encrypts or decrypts data as Cipher does with a transformation by name. It reports false for what the phone
// would refuse, what is not read, and what it would do with a random initial vector.
func crypt(transformation string, decrypt bool, key, iv []byte, tag int, data []byte) ([]byte, bool) {
	parts := strings.Split(strings.ToUpper(transformation), "/")
	if len(parts) == 1 {
		parts = append(parts, "ECB", "PKCS5PADDING")
	}
	if len(parts) != 3 {
		return nil, false
	}
	var b cipher.Block
	var err error
	switch parts[0] {
	case "AES":
		b, err = aes.NewCipher(key)
	case "DES":
		b, err = des.NewCipher(key)
	case "DESEDE":
		b, err = des.NewTripleDESCipher(key)
	case "RC4", "ARCFOUR", "ARC4":
		c, err := rc4.NewCipher(key)
		if err != nil || len(key) < 5 || len(key) > 128 || strings.Contains(transformation, "/") {
			return nil, false
		}
		out := make([]byte, len(data))
		c.XORKeyStream(out, data)
		return out, true
	default:
		return nil, false
	}
	if err != nil {
		return nil, false
	}
	size := b.BlockSize()
	pad := parts[2] == "PKCS5PADDING" || parts[2] == "PKCS7PADDING"
	switch parts[1] {
	case "ECB", "CBC":
		if !pad && parts[2] != "NOPADDING" || parts[1] == "CBC" && len(iv) != size || parts[1] == "ECB" && len(iv) != 0 {
			return nil, false
		}
		data = slices.Clone(data)
		if pad && !decrypt {
			n := size - len(data)%size
			for range n {
				data = append(data, byte(n))
			}
		}
		if len(data)%size != 0 {
			return nil, false
		}
		switch {
		case parts[1] == "CBC" && decrypt:
			cipher.NewCBCDecrypter(b, iv).CryptBlocks(data, data)
		case parts[1] == "CBC":
			cipher.NewCBCEncrypter(b, iv).CryptBlocks(data, data)
		default:
			for i := 0; i < len(data); i += size {
				if decrypt {
					b.Decrypt(data[i:], data[i:])
				} else {
					b.Encrypt(data[i:], data[i:])
				}
			}
		}
		if pad && decrypt && len(data) > 0 {
			n := int(data[len(data)-1])
			if n == 0 || n > size {
				return nil, false
			}
			for _, c := range data[len(data)-n:] {
				if int(c) != n {
					return nil, false
				}
			}
			data = data[:len(data)-n]
		}
		return data, true
	case "CTR":
		if parts[2] != "NOPADDING" || len(iv) != size {
			return nil, false
		}
		out := make([]byte, len(data))
		cipher.NewCTR(b, iv).XORKeyStream(out, data)
		return out, true
	case "GCM":
		if parts[2] != "NOPADDING" || parts[0] != "AES" || len(iv) == 0 || tag%8 != 0 || tag < 96 || tag > 128 {
			return nil, false
		}
		var g cipher.AEAD
		if tag == 128 {
			g, err = cipher.NewGCMWithNonceSize(b, len(iv))
		} else if len(iv) == 12 {
			g, err = cipher.NewGCMWithTagSize(b, tag/8)
		}
		if g == nil || err != nil {
			return nil, false
		}
		if !decrypt {
			return g.Seal(nil, iv, data, nil), true
		}
		out, err := g.Open(nil, iv, data, nil)
		return out, err == nil
	}
	return nil, false
}

// certificates are the signatures of apps and what they are made of.
func certificates(on modeller, pure pureModeller, keeps keeper) {
	const (
		signature = "Landroid/content/pm/Signature;"
		factory   = "Ljava/security/cert/CertificateFactory;"
	)
	// A Signature holds an array of the bytes of a certificate.
	on(signature, "<init>", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		v := s.arg(1)
		if k.param(1) == classString {
			b, err := hex.DecodeString(k.text(1))
			if err != nil || k.open {
				v = value{taint: r.labelsIn(s)}
			} else {
				v = r.bytesOf(s, b, k.taint)
			}
		}
		r.hold(s, keyAll, v)
		return value{}
	})
	pure(signature, "toByteArray", func(k *inputs) value { return k.bytesValue(k.bytes(0)) })
	pure(signature, "toCharsString", func(k *inputs) value { return k.textValue(hex.EncodeToString(k.bytes(0))) })
	pure(signature, "toChars", func(k *inputs) value {
		t := hex.EncodeToString(k.bytes(0))
		if k.open || len(t) > maxTextSize {
			return k.unknown()
		}
		return k.r.arrayOf(k.s, "[C", len(t), k.taint, func(i int) value { return value{kind: number, n: int64(t[i]), taint: k.taint} })
	})
	pure(signature, "hashCode", func(k *inputs) value {
		b := k.bytes(0)
		list := make([]int64, len(b))
		for i, c := range b {
			list[i] = int64(int8(c))
		}
		return intVal(hashOf(list))
	})
	on(signature, "equals", func(r *run, s *site) value {
		k := &inputs{r: r, s: s}
		if a, b := k.bytes(0), k.bytes(1); !k.open {
			return value{kind: number, n: b2i(slices.Equal(a, b)), taint: k.taint}
		}
		return r.compared(s)
	})
	pure(factory, "generateCertificate", func(k *inputs) value {
		b := k.held(1, keyFed)
		if k.open {
			return value{}
		}
		for _, o := range k.r.objectsOf(k.s.arg(1)) { // it is read by now
			k.r.blur(k.s.cur, o)
		}
		return k.made(map[uint32]string{keyRaw: b})
	})
	pure("Ljava/security/cert/Certificate;", "getEncoded", func(k *inputs) value { return k.bytesValue([]byte(k.held(0, keyRaw))) })
}
