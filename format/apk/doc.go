// Package apk reads Android packages as Android reads them.
//
// An APK is a zip: [NewZip] opens it over any io.ReaderAt and hands out the contents of its entries, one inside
// another if they are stored. [ParseXML] reads the manifest and other compiled XML, [ParseResources] the
// resource table that their references lead into, and [Resources.Resolve] brings the two together. The rest of
// the package checks who signed the file.
//
// Malware lives on files that one reader refuses and another takes. So the rule for every reader here is: what
// PackageManager, AssetManager or ART would use must be read, and where two readers could come to different
// results that is noted ([Disagreement]) and not smoothed away. The places in AOSP that allow a leniency are
// named where it is taken. Damage is an error along with everything that could be read before it.
//
// Nothing is allocated from a size the file merely claims, nothing is decoded before it is asked for, and what
// a small file could blow up (names repeated, strings overlapping) has a budget.
//
// # Not read
//
// Encrypted zip entries (Android has none), multi-volume zips, text XML, comments and styles of strings,
// overlays of resources, the ids of shared libraries and staged aliases. References into the framework
// (package 0x01) are not followed: framework-res.apk is another table. Which configuration a phone would choose
// is not computed, see [Resources.Value].
package apk
