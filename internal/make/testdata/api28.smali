# Instructions of DEX 038 and 039.
.class public Lt/Api28;
.super Ljava/lang/Object;

.method public static handles(Ljava/lang/invoke/MethodHandle;)V
    .registers 8

    .line 1
    const-method-handle v0, invoke-static@Lt/Api28;->handles(Ljava/lang/invoke/MethodHandle;)V

    const-method-handle v0, static-get@Lt/Api28;->f:I

    const-method-handle v0, instance-put@Lt/Api28;->f:I

    const-method-handle v0, invoke-constructor@Ljava/lang/Object;-><init>()V

    const-method-type v0, (I[J)Ljava/lang/String;

    invoke-polymorphic {p0, v1}, Ljava/lang/invoke/MethodHandle;->invokeExact([Ljava/lang/Object;)Ljava/lang/Object;, (I)V

    invoke-polymorphic/range {v1 .. v6}, Ljava/lang/invoke/MethodHandle;->invoke([Ljava/lang/Object;)Ljava/lang/Object;, (IIIII)I

    invoke-custom {v1}, call_site_0("run", (I)V, 0x1, "x", 2.0, invoke-static@Lt/Api28;->handles(Ljava/lang/invoke/MethodHandle;)V, (I)V)@Lt/Boot;->strap(Ljava/lang/invoke/MethodHandles$Lookup;Ljava/lang/String;Ljava/lang/invoke/MethodType;)Ljava/lang/invoke/CallSite;

    invoke-custom/range {v1 .. v1}, call_site_1("two", ()V)@Lt/Boot;->strap(Ljava/lang/invoke/MethodHandles$Lookup;Ljava/lang/String;Ljava/lang/invoke/MethodType;)Ljava/lang/invoke/CallSite;

    return-void
.end method
