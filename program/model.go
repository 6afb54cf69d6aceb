package program

import (
	"fmt"
	"slices"
	"strings"

	"gifthorse/knowledge"
)

// A model says what a method of the platform does with values, where the rule for all (see general) would
// lose what a witness needs: texts, entries of maps and intents, and who is called back.
type model struct {
	f func(*run, *site) value
	// hands says that the call hands control to other code of the phone: a component, a thread, a listener.
	// The test that replays witnesses asks for it.
	hands bool
	// starts says that it starts another component.
	starts bool
}

type modelOf struct {
	class string
	model
}

func (p *Program) findModel(class, name string) model {
	for _, m := range p.models[name] {
		if m.class == class || m.class == "" || knowledge.IsSubclass(class, m.class) {
			return m.model
		}
	}
	return model{}
}

// modelTable returns the models by method name. The class is the one that declares the method; subclasses
// are meant too.
func modelTable() map[string][]modelOf {
	models := map[string][]modelOf{}
	on := func(class, names string, f func(*run, *site) value) {
		for n := range strings.FieldsSeq(names) {
			models[n] = append(models[n], modelOf{class, model{f: f}})
		}
	}
	hand := func(class, names string, f func(*run, *site) value) {
		for n := range strings.FieldsSeq(names) {
			models[n] = append(models[n], modelOf{class, model{f: f, hands: true}})
		}
	}
	start := func(class, names string, f func(*run, *site) value) {
		for n := range strings.FieldsSeq(names) {
			models[n] = append(models[n], modelOf{class, model{f: f, hands: true, starts: true}})
		}
	}
	const (
		str     = "Ljava/lang/String;"
		ctx     = "Landroid/content/Context;"
		intent  = "Landroid/content/Intent;"
		bundle  = "Landroid/os/Bundle;"
		base    = "Landroid/os/BaseBundle;"
		uri     = "Landroid/net/Uri;"
		file    = "Ljava/io/File;"
		thread  = "Ljava/lang/Thread;"
		handler = "Landroid/os/Handler;"
		message = "Landroid/os/Message;"
		parcel  = "Landroid/os/Parcel;"
	)
	// Texts.
	on(str, "equals equalsIgnoreCase contentEquals", func(r *run, s *site) value { return r.equals(s, s.arg(0), s.arg(1)) })
	on("Landroid/text/TextUtils;", "equals", func(r *run, s *site) value { return r.equals(s, s.arg(0), s.arg(1)) })
	on("Ljava/util/Objects;", "equals", func(r *run, s *site) value { return r.equals(s, s.arg(0), s.arg(1)) })
	on(str, "startsWith", compareText("starts with", strings.HasPrefix))
	on(str, "endsWith", compareText("ends with", strings.HasSuffix))
	on(str, "contains", compareText("contains", strings.Contains))
	on("Landroid/text/TextUtils;", "isEmpty", func(r *run, s *site) value {
		v := r.content(s.cur, s.arg(0))
		if t, ok := r.isText(v); ok {
			return intVal(b2i(t == ""))
		}
		if v.isNull() {
			return intVal(1)
		}
		return value{}
	})
	same := func(r *run, s *site) value { return r.content(s.cur, s.arg(0)) }
	on(str, "toString intern", same)
	on(str, "concat", func(r *run, s *site) value {
		return r.concat(r.content(s.cur, s.arg(0)), r.content(s.cur, s.arg(1)))
	})
	evaluations(hand)

	// Uris and files are the texts they were made of.
	on(uri, "parse", func(r *run, s *site) value { return r.content(s.cur, s.arg(0)) })
	on(uri, "toString", same)
	on(uri, "fromFile", func(r *run, s *site) value { return r.concat(r.text("file://"), r.content(s.cur, s.arg(0))) })
	on(uri, "withAppendedPath", func(r *run, s *site) value {
		return r.concat(r.concat(r.content(s.cur, s.arg(0)), r.text("/")), r.content(s.cur, s.arg(1)))
	})
	on("Landroid/content/ContentUris;", "withAppendedId", func(r *run, s *site) value {
		return r.concat(r.concat(r.content(s.cur, s.arg(0)), r.text("/")), r.toText(s.cur, s.arg(1), "J"))
	})
	on(file, "<init>", func(r *run, s *site) value {
		v := r.content(s.cur, s.arg(1))
		if len(s.args) > 2 {
			v = r.concat(r.concat(v, r.text("/")), r.content(s.cur, s.arg(2)))
		}
		for _, o := range r.objectsOf(s.arg(0)) {
			r.write(s.cur, o, keyPath, v, true)
		}
		return value{}
	})
	on(file, "getPath getAbsolutePath getCanonicalPath toString getAbsoluteFile getCanonicalFile", same)
	// What lies in a folder has names that whoever named the folder did not choose.
	on(file, "listFiles list", func(r *run, s *site) value {
		v := r.general(s)
		name := value{kind: rooted, taint: r.labelSets.union(v.taint, r.content(s.cur, s.arg(0)).taint)}
		if s.name == "listFiles" {
			f := r.made(s.cur, r.chainOf(s.f.m, s.in.PC, "a file in the folder", s.f.up), -2, r.p.syms.ids[file], 0, false)
			r.fieldPut(s.cur, f, keyPath, name)
			name = f
		}
		list := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.retType(s.proto), 0, true)
		r.fieldPut(s.cur, list, keyAll, name)
		list.maybe = true
		return list
	})
	on("Landroid/content/UriMatcher;", "addURI", func(r *run, s *site) value {
		path, _ := r.isText(r.content(s.cur, s.arg(2)))
		auth, _ := r.isText(r.content(s.cur, s.arg(1)))
		for _, o := range r.objectsOf(s.arg(0)) {
			k := r.text(auth + "/" + path)
			s.cur.heap = s.cur.heap.set(fieldKey(o, keyText|uint32(k.n)), s.arg(3))
		}
		return value{}
	})
	on("Landroid/content/UriMatcher;", "match", matchURI)

	on("Landroid/content/ContentProvider;", "setAppOps", func(r *run, s *site) value {
		r.appOps = true
		return value{}
	})

	// Intents, bundles and maps keep what is put into them under its name.
	hand(intent, "<init>", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			for i := 1; i < len(s.args); i++ {
				v := r.content(s.cur, s.args[i])
				switch {
				case v.kind == classRef:
					r.write(s.cur, o, keyTarget, v, true)
				case paramIs(s.proto, i-1, "Landroid/net/Uri;"):
					r.write(s.cur, o, keyData, v, true)
				case paramIs(s.proto, i-1, str):
					r.write(s.cur, o, keyAction, v, true)
				case paramIs(s.proto, i-1, intent):
					r.copyObject(s.cur, s.args[i], o)
					r.write(s.cur, o, keyIntent, s.args[i], true)
				}
			}
		}
		return value{}
	})
	self := func(key uint32, arg int) func(*run, *site) value {
		return func(r *run, s *site) value {
			for _, o := range r.objectsOf(s.arg(0)) {
				r.write(s.cur, o, key, r.content(s.cur, s.arg(arg)), len(r.objectsOf(s.arg(0))) == 1)
			}
			return s.arg(0)
		}
	}
	on(intent, "setAction", self(keyAction, 1))
	on(intent, "setData setDataAndNormalize setDataAndType", self(keyData, 1))
	names := func(arg int) func(*run, *site) value {
		return func(r *run, s *site) value {
			r.retarget(s.cur, s.arg(0), s.arg(arg))
			return self(keyTarget, arg)(r, s)
		}
	}
	on(intent, "setClass", names(2))
	on(intent, "setComponent", names(1))
	on(intent, "setClassName", names(2))
	on(intent, "setFlags removeFlags", strips)
	on(intent, "setPackage", addressed)
	on(intent, "parseUri parseUriInternal getIntent getIntentOld", parsed)
	on("Landroid/content/ComponentName;", "<init>", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			r.write(s.cur, o, keyAll, r.content(s.cur, s.arg(2)), true)
		}
		return value{}
	})
	on(intent, "getAction", readIn("action", keyAction))
	on(intent, "getData getDataString", readIn("data", keyData))
	on(intent, "getExtras", func(r *run, s *site) value {
		if s.arg(0).kind == object {
			return s.arg(0)
		}
		return value{taint: s.arg(0).taint}
	})
	on(intent, "putExtra putParcelableArrayListExtra putStringArrayListExtra putIntegerArrayListExtra", put)
	on(intent, "putExtras replaceExtras fillIn", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			r.copyObject(s.cur, s.arg(1), o)
		}
		return s.arg(0)
	})
	for n := range strings.FieldsSeq("String Int Boolean Long Byte Short Char Float Double CharSequence Parcelable Serializable StringArray IntArray ByteArray ParcelableArrayList StringArrayList ParcelableArray LongArray IntegerArrayList Bundle") {
		on(intent, "get"+n+"Extra", getKey)
		on(bundle, "get"+n, getKey)
		on(base, "get"+n, getKey)
		on(bundle, "put"+n, put)
		on(base, "put"+n, put)
		on("Lorg/json/JSONObject;", "get"+n+" opt"+n, getKey)
	}
	on(bundle, "getBinder get putBinder", getKey)
	on(base, "get", getKey)
	on(intent, "getBundleExtra", getKey)
	on("Landroid/content/ContentValues;", "put", put)
	on("Landroid/content/ContentValues;", "getAsString getAsInteger getAsLong getAsBoolean get getAsByteArray", getKey)
	on("Lorg/json/JSONObject;", "put", put)
	on("Lorg/json/JSONObject;", "get opt getJSONObject getJSONArray", getKey)
	on("Ljava/util/Map;", "put", put)
	on("Ljava/util/Map;", "get", getKey)
	on(bundle, "putAll", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			r.copyObject(s.cur, s.arg(1), o)
		}
		return value{}
	})

	// Collections give back what was put in.
	for _, c := range [...]string{"Ljava/util/Collection;", "Ljava/util/Map;", "Ljava/lang/Iterable;"} {
		on(c, "iterator listIterator entrySet keySet values subList stream descendingIterator", func(r *run, s *site) value {
			if s.arg(0).kind == object {
				return s.arg(0)
			}
			return value{taint: s.arg(0).taint}
		})
	}
	on("Ljava/util/Collection;", "add addAll addFirst addLast offer push", func(r *run, s *site) value {
		v := s.arg(len(s.args) - 1)
		for _, o := range r.objectsOf(s.arg(0)) {
			if s.name == "addAll" {
				r.copyObject(s.cur, v, o)
				continue
			}
			r.write(s.cur, o, keyAll, v, false)
		}
		return value{}
	})
	take := func(r *run, s *site) value {
		out := value{taint: s.arg(0).taint, typ: r.retType(s.proto)}
		first := true
		for _, o := range r.objectsOf(s.arg(0)) {
			out.taint = r.labelSets.union(out.taint, r.objects[o].label)
			s.cur.heap.each(o, func(f uint32, v value) {
				if f == keyAll || f >= keyText && f < keyIndex {
					v.taint = r.labelSets.union(v.taint, out.taint)
					if first {
						out, first = v, false
					} else {
						out = r.join(out, v, 0, 0)
					}
				}
			})
		}
		return out
	}
	listed := func(r *run, s *site) value {
		v := r.content(s.cur, s.arg(1))
		if v.taint == 0 {
			return value{}
		}
		return value{test: r.ask(test{op: "listed", left: v.taint, method: s.f.m, pc: s.in.PC, yes: 1})}
	}
	on("Ljava/util/Collection;", "contains containsAll", listed)
	on("Ljava/util/Map;", "containsKey containsValue", listed)
	on("Ljava/util/Iterator;", "next", take)
	on("Ljava/util/Map$Entry;", "getValue getKey", take)
	on("Ljava/util/Collection;", "get getFirst getLast remove poll peek pop removeFirst removeLast element take", take)

	// Parcels: what is read is what was written, or what the caller sent.
	on(parcel, "obtain", func(r *run, s *site) value {
		return r.made(s.cur, r.at(s.f, s.in.PC), -2, r.p.syms.ids[parcel], 0, false)
	})
	for n := range strings.FieldsSeq("String Int Long Byte Float Double Bundle StrongBinder Value Parcelable Serializable StringList StringArray ByteArray TypedObject FileDescriptor CharSequence TypedList") {
		on(parcel, "write"+n, func(r *run, s *site) value {
			v := s.arg(1)
			if s.name == "writeInt" || s.name == "writeByte" { // counts and answers, not the data itself
				v = value{}
			}
			for _, o := range r.objectsOf(s.arg(0)) {
				r.write(s.cur, o, keyAll, v, false)
			}
			return value{}
		})
	}
	on(parcel, "unmarshall appendFrom", func(r *run, s *site) value {
		t := r.deep(s.cur.heap, s.arg(1))
		for _, o := range r.objectsOf(s.arg(0)) {
			r.write(s.cur, o, keyAll, value{taint: t}, false)
		}
		return value{}
	})
	for n := range strings.FieldsSeq("readString readInt readLong readByte readFloat readDouble readBundle readStrongBinder readValue readParcelable readSerializable createStringArray createByteArray createStringArrayList readFileDescriptor readCharSequence readTypedObject createTypedArrayList createIntArray readHashMap readArrayList createTypedArray readBoolean") {
		on(parcel, n, func(r *run, s *site) value {
			return r.incoming(s, "parcel", "", keyAll)
		})
	}
	// A parcelable that the caller sent is made by its creator from the parcel.
	hand("Landroid/os/Parcelable$Creator;", "createFromParcel", func(r *run, s *site) value {
		from := *s
		from.args = s.args[min(1, len(s.args)):]
		return r.incoming(&from, "parcel", "", keyAll)
	})

	// Components.
	on("Landroid/app/Activity;", "getIntent", func(r *run, s *site) value { return r.fieldGet(s.cur, s.arg(0), keyIntent, 0) })
	start(ctx, "startService startForegroundService startServiceAsUser", func(r *run, s *site) value {
		r.startComponent(s, s.arg(1), "service")
		return value{}
	})
	start(ctx, "bindService bindServiceAsUser", func(r *run, s *site) value {
		if b := r.startComponent(s, s.arg(1), "service"); b.kind == object {
			r.callBack(s, s.arg(2), "onServiceConnected:(Landroid/content/ComponentName;Landroid/os/IBinder;)V", value{}, b)
		}
		return value{}
	})
	start(ctx, "sendBroadcast sendOrderedBroadcast sendStickyBroadcast sendBroadcastAsUser sendOrderedBroadcastAsUser", func(r *run, s *site) value {
		r.startComponent(s, s.arg(1), "receiver")
		return value{}
	})
	start("Landroid/support/v4/content/LocalBroadcastManager;", "sendBroadcast", func(r *run, s *site) value {
		r.startComponent(s, s.arg(1), "receiver")
		return value{}
	})
	start(ctx, "startActivity startActivityAsUser", func(r *run, s *site) value {
		r.startComponent(s, s.arg(1), "activity")
		return value{}
	})
	start("Landroid/app/Activity;", "startActivityForResult startActivityIfNeeded", func(r *run, s *site) value {
		r.awaits = s.args
		r.startComponent(s, s.arg(1), "activity")
		r.awaits = nil
		return value{}
	})
	hand(ctx, "registerReceiver registerReceiverAsUser", func(r *run, s *site) value {
		r.register(s)
		return value{}
	})
	on("Landroid/content/IntentFilter;", "<init> addAction", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			if len(s.args) > 1 {
				for _, t := range r.textsOf(s.cur, s.arg(1)) {
					k := r.text(t)
					s.cur.heap = s.cur.heap.set(fieldKey(o, keyText|uint32(k.n)), intVal(1))
				}
			}
		}
		return value{}
	})

	hand("Landroid/app/Activity;", "setResult", func(r *run, s *site) value {
		if r.whole && len(s.args) > 2 {
			r.result(s, s.arg(0), s.arg(1), s.arg(2))
		}
		return value{}
	})
	on("Landroid/app/Activity;", "setIntent", func(r *run, s *site) value {
		r.fieldPut(s.cur, s.arg(0), keyIntent, s.arg(1))
		return value{}
	})
	// The same id names the same view of an activity.
	on("Landroid/app/Activity;", "findViewById", func(r *run, s *site) value {
		if id := s.arg(1); r.whole && id.kind == number && s.arg(0).kind == object {
			return r.named(fmt.Sprint("view ", s.arg(0).n, " ", id.n), "Landroid/view/View;")
		}
		return value{typ: r.retType(s.proto)}
	})
	// A fragment lives in the activity that shows it.
	for _, c := range [...]string{"Landroid/app/FragmentTransaction;", "Landroid/support/v4/app/FragmentTransaction;", "Landroidx/fragment/app/FragmentTransaction;"} {
		hand(c, "add replace attach show", func(r *run, s *site) value {
			for _, a := range s.args[1:] {
				for _, o := range r.objectsOf(a) {
					if r.whole && r.objects[o].cid != 0 && !slices.Contains(r.fragments, r.objVal(o)) {
						r.fragments = append(r.fragments, r.objVal(o))
					}
				}
			}
			return s.arg(0)
		})
	}
	for _, c := range [...]string{"Landroid/app/Fragment;", "Landroid/support/v4/app/Fragment;", "Landroidx/fragment/app/Fragment;"} {
		on(c, "getActivity requireActivity getContext requireContext", func(r *run, s *site) value { return r.active })
	}

	// Preferences of one name are one object, whoever opens them.
	prefs := func(r *run, s *site) value {
		name, _ := r.isText(r.content(s.cur, s.arg(1)))
		return r.named("preferences "+name, "Landroid/content/SharedPreferences;")
	}
	on(ctx, "getSharedPreferences", prefs)
	on("Landroid/app/Activity;", "getPreferences", prefs)
	on("Landroid/preference/PreferenceManager;", "getDefaultSharedPreferences", func(r *run, s *site) value {
		return r.named("preferences", "Landroid/content/SharedPreferences;")
	})
	on("Landroid/content/SharedPreferences;", "edit", func(r *run, s *site) value { return s.arg(0) })
	on("Landroid/content/SharedPreferences;", "getString getInt getBoolean getLong getFloat getStringSet", stored)
	keptModels(on)
	on("Ljava/util/Random;", "nextInt", func(r *run, s *site) value {
		if n := s.arg(1); len(s.args) == 2 && n.kind == number && n.n > 0 {
			return value{kind: below, n: n.n}
		}
		return value{}
	})
	// What an object stream reads is the object that was written to the bytes under it.
	on("Ljava/io/ObjectInputStream;", "readObject", func(r *run, s *site) value {
		v := s.arg(0)
		for range 4 {
			os := r.objectsOf(v)
			if len(os) == 0 || r.objects[os[0]].cid != 0 {
				break
			}
			in, ok := s.cur.heap.get(fieldKey(os[0], keyAll))
			if !ok {
				break
			}
			v = in
		}
		v.taint = r.labelSets.union(v.taint, s.arg(0).taint)
		return v
	})

	// Threads, handlers, tasks: what they run, runs.
	hand(thread, "<init>", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			for _, a := range s.args[1:] {
				if a.kind == object && r.callable(a, "run:()V") {
					r.write(s.cur, o, keyRun, a, true)
				}
			}
		}
		return value{}
	})
	hand(thread, "start run", func(r *run, s *site) value {
		r.callBack(s, s.arg(0), "run:()V")
		r.callBack(s, r.fieldGet(s.cur, s.arg(0), keyRun, 0), "run:()V")
		return value{}
	})
	first := func(r *run, s *site) value {
		r.callBack(s, s.arg(1), "run:()V")
		r.callBack(s, s.arg(1), "call:()Ljava/lang/Object;")
		return value{}
	}
	hand(handler, "post postDelayed postAtTime postAtFrontOfQueue", first)
	hand("Landroid/view/View;", "post postDelayed", first)
	hand("Landroid/app/Activity;", "runOnUiThread", first)
	hand("Ljava/util/concurrent/Executor;", "execute submit schedule scheduleAtFixedRate scheduleWithFixedDelay", first)
	hand("Ljava/util/Timer;", "schedule scheduleAtFixedRate", first)
	hand("Landroid/os/CountDownTimer;", "start", func(r *run, s *site) value {
		r.callBack(s, s.arg(0), "onFinish:()V")
		return s.arg(0)
	})
	for name, kind := range map[string]string{"getActivity": "activity", "getService": "service", "getForegroundService": "service", "getBroadcast": "receiver"} {
		hand("Landroid/app/PendingIntent;", name, func(r *run, s *site) value {
			v := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.p.syms.ids["Landroid/app/PendingIntent;"], 0, false)
			r.fieldPut(s.cur, v, keyIntent, s.arg(2))
			r.fieldPut(s.cur, v, keyTarget, r.text(kind))
			return v
		})
	}
	send := func(r *run, s *site) value {
		for _, a := range s.args {
			if kind, ok := r.isText(r.fieldGet(s.cur, a, keyTarget, 0)); ok {
				r.startComponent(s, r.fieldGet(s.cur, a, keyIntent, 0), kind)
			}
		}
		return value{}
	}
	start("Landroid/app/PendingIntent;", "send", send)
	start("Landroid/app/AlarmManager;", "set setExact setRepeating setInexactRepeating setWindow setAndAllowWhileIdle setExactAndAllowWhileIdle setAlarmClock", send)
	hand("Landroid/os/AsyncTask;", "execute executeOnExecutor", func(r *run, s *site) value {
		a := s.arg(1)
		if s.name == "executeOnExecutor" {
			a = s.arg(2)
		}
		r.callBack(s, s.arg(0), "onPreExecute:()V")
		res := r.callBack(s, s.arg(0), "doInBackground:([Ljava/lang/Object;)Ljava/lang/Object;", a)
		r.callBack(s, s.arg(0), "onPostExecute:(Ljava/lang/Object;)V", res)
		return s.arg(0)
	})
	hand(handler, "<init>", func(r *run, s *site) value {
		for _, o := range r.objectsOf(s.arg(0)) {
			for _, a := range s.args[1:] {
				if r.callable(a, "handleMessage:(Landroid/os/Message;)Z") {
					r.write(s.cur, o, keyRun, a, true)
				}
			}
		}
		return value{}
	})
	hand(handler, "sendMessage sendMessageDelayed sendMessageAtTime sendMessageAtFrontOfQueue dispatchMessage", func(r *run, s *site) value {
		r.deliver(s, s.arg(0), s.arg(1))
		return value{}
	})
	hand(handler, "sendEmptyMessage sendEmptyMessageDelayed", func(r *run, s *site) value {
		m := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.p.syms.ids[message], 0, false)
		r.fieldPut(s.cur, m, r.field("what", "I"), s.arg(1))
		r.deliver(s, s.arg(0), m)
		return value{}
	})
	obtain := func(r *run, s *site) value {
		m := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.p.syms.ids[message], 0, false)
		o := r.objectsOf(m)[0]
		args := s.args
		if s.inst && len(args) > 0 || len(args) > 0 && paramIs(s.proto, 0, handler) {
			r.write(s.cur, o, keyRun, args[0], true)
			args = args[1:]
		}
		for i, f := range [...]string{"what", "arg1", "arg2", "obj"} {
			if i >= len(args) {
				break
			}
			typ := "I"
			if f == "obj" || i == 1 && len(args) == 2 {
				f, typ = "obj", "Ljava/lang/Object;"
			}
			r.fieldPut(s.cur, m, r.field(f, typ), args[i])
		}
		return m
	}
	hand(handler, "obtainMessage", obtain)
	hand(message, "obtain", obtain)
	hand(message, "sendToTarget", func(r *run, s *site) value {
		r.deliver(s, r.fieldGet(s.cur, s.arg(0), keyRun, 0), s.arg(0))
		return value{}
	})
	on(message, "getData setData", func(r *run, s *site) value {
		if s.name == "setData" {
			r.fieldPut(s.cur, s.arg(0), keyData, s.arg(1))
			return value{}
		}
		if os := r.objectsOf(s.arg(0)); len(os) > 0 && r.objects[os[0]].incoming != "" {
			return s.arg(0)
		}
		return r.fieldGet(s.cur, s.arg(0), keyData, 0)
	})
	hand("Landroid/os/Messenger;", "<init>", func(r *run, s *site) value {
		r.fieldPut(s.cur, s.arg(0), keyRun, s.arg(1))
		return value{}
	})
	hand("Landroid/os/Messenger;", "send", func(r *run, s *site) value {
		h := s.arg(0)
		for range 3 { // a client's messenger is made of the binder of the service's
			if os := r.objectsOf(h); r.whole && len(os) > 0 && r.objects[os[0]].cid == 0 {
				h = r.fieldGet(s.cur, h, keyRun, 0)
			}
		}
		if r.whole {
			r.deliver(s, h, s.arg(1))
		}
		return value{}
	})
	on("Landroid/os/Messenger;", "getBinder", func(r *run, s *site) value { return s.arg(0) })

	// Reflection, where the names are known.
	classNamed := func(r *run, s *site) value {
		name := s.arg(int(b2i(s.inst)))
		if r.whole && s.inst { // see load
			return r.general(s)
		}
		if t, ok := r.onlyText(r.content(s.cur, name)); ok {
			class := "L" + strings.ReplaceAll(t, ".", "/") + ";"
			r.asks(askClass, class)
			if id, ok := r.p.syms.ids[class]; ok {
				return value{kind: classRef, n: int64(id)}
			}
		}
		return value{taint: name.taint, typ: r.p.syms.ids["Ljava/lang/Class;"]}
	}
	hand("Ljava/lang/Class;", "forName", classNamed)
	hand("Ljava/lang/ClassLoader;", "loadClass", classNamed)
	hand("Ljava/lang/Class;", "getMethod getDeclaredMethod", func(r *run, s *site) value {
		name, ok := r.onlyText(r.content(s.cur, s.arg(1)))
		if s.arg(0).kind != classRef || !ok {
			return value{}
		}
		m := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.retType(s.proto), 0, false)
		r.fieldPut(s.cur, m, keyTarget, s.arg(0))
		r.fieldPut(s.cur, m, keyAll, r.text(name))
		return m
	})
	hand("Ljava/lang/Class;", "getConstructor getDeclaredConstructor", func(r *run, s *site) value {
		c := r.made(s.cur, r.at(s.f, s.in.PC), -2, r.retType(s.proto), 0, false)
		r.fieldPut(s.cur, c, keyTarget, s.arg(0))
		return c
	})
	hand("Ljava/lang/reflect/Constructor;", "newInstance", func(r *run, s *site) value {
		if os := r.objectsOf(s.arg(0)); len(os) == 1 {
			class, _ := s.cur.heap.get(fieldKey(os[0], keyTarget))
			return r.instantiate(s, class, r.elements(s.cur, s.arg(1))...)
		}
		return value{taint: r.deep(s.cur.heap, s.arg(1))}
	})
	on("Ljava/lang/reflect/Method;", "getDeclaringClass", func(r *run, s *site) value { return r.fieldGet(s.cur, s.arg(0), keyTarget, 0) })
	hand("Ljava/lang/reflect/Method;", "invoke", reflectCall)
	hand("Ljava/lang/Class;", "newInstance", func(r *run, s *site) value { return r.instantiate(s, s.arg(0)) })
	on("Ljava/lang/Object;", "getClass", func(r *run, s *site) value {
		if os := r.objectsOf(s.arg(0)); len(os) == 1 && r.objects[os[0]].class != 0 {
			return value{kind: classRef, n: int64(r.objects[os[0]].class)}
		}
		return value{}
	})
	on("Ljava/lang/Class;", "getName getSimpleName getCanonicalName", func(r *run, s *site) value {
		if s.arg(0).kind != classRef {
			return value{}
		}
		t := strings.ReplaceAll(strings.Trim(r.p.syms.text[s.arg(0).n], "L;"), "/", ".")
		if s.name == "getSimpleName" {
			t = t[strings.LastIndexAny(t, ".$")+1:]
		}
		return r.text(t)
	})
	text := func(r *run, s *site) value {
		if id := s.arg(1); r.whole && id.kind == number && len(s.args) == 2 {
			if t, ok := r.p.resourceText(r.space, uint32(id.n)); ok {
				return r.text(t)
			}
		}
		return value{typ: r.retType(s.proto)}
	}
	on(ctx, "getString getText", text)
	on("Landroid/content/res/Resources;", "getString getText", text)
	on("Landroid/content/Context;", "getPackageName", func(r *run, s *site) value {
		if pkg := r.p.spaces[r.space].pkg; pkg != nil {
			return r.text(pkg.Name)
		}
		return value{}
	})
	on("Landroid/content/pm/PackageManager;", "resolveActivity resolveActivityAsUser resolveService queryIntentActivities queryIntentActivitiesAsUser queryIntentServices queryBroadcastReceivers getActivityInfo getServiceInfo getReceiverInfo", resolved)
	on(intent, "resolveActivity resolveActivityInfo", resolved)
	peerModels(on, start)
	for _, c := range [...]string{"Ljava/net/URLConnection;", "Ljava/net/Socket;"} {
		on(c, "getOutputStream", func(r *run, s *site) value {
			v := r.general(s)
			for _, o := range r.objectsOf(v) {
				r.write(s.cur, o, keyFar, intVal(1), true)
			}
			return v
		})
	}
	// What only looks like data.
	on("Landroid/util/Log;", "v d i w e wtf println", func(r *run, s *site) value { return value{} })
	return models
}
