// Package make writes what a phone's apps are made of, so that a test phone can be kept as text: DEX from
// smali, binary XML from XML, a resource table from its values, a zip from its entries, and the signature
// schemes v1, v2 and v3 over it.
//
// Data goes one way, text to bytes: DEX, XML and Resources give a file's bytes, Zip packs them, Sign signs
// the pack. Super and Sparse pack file systems as factory images have them.
// The same text gives the same bytes, on every machine; only deflated zip entries follow the Go version,
// whose compress/flate picks the encoding.
//
// The writers say what they are told: an instruction is encoded as its mnemonic names it, a duplicate zip
// entry is written twice. What a format cannot express is an error with the line it stands on.
//
// # Not written
//
// Resources other than those of the default configuration, styles and plurals, compact DEX, hidden-API flags,
// Dalvik's own odex instructions (execute-inline and the like), zip64, v3.1 and v4 signatures, key rotation.
package make
