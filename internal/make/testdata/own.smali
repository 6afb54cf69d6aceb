# What smali refuses or changes: quickened instructions, which it does not assemble, and try blocks side by
# side with the same handlers, which it makes one. This is the text baksmali gives back.
.class public Lt/Own;
.super Ljava/lang/Object;


# direct methods
.method public static quick(Lt/Own;)V
    .registers 6

    .line 1
    iget-quick v0, p0, field@0x8

    iget-wide-quick v0, p0, field@0x10

    iget-object-quick v0, p0, field@0xc

    iput-quick v0, p0, field@0x8

    iput-wide-quick v0, p0, field@0x8

    iput-object-quick v0, p0, field@0x8

    invoke-virtual-quick {p0}, vtable@17

    invoke-virtual-quick/range {v0 .. v5}, vtable@18

    iput-boolean-quick v0, p0, field@0x8

    iput-byte-quick v0, p0, field@0x8

    iput-char-quick v0, p0, field@0x8

    iput-short-quick v0, p0, field@0x8

    iget-boolean-quick v0, p0, field@0x8

    iget-byte-quick v0, p0, field@0x8

    iget-char-quick v0, p0, field@0x8

    iget-short-quick v0, p0, field@0xffff

    return-void-no-barrier
.end method

.method static tries(I)I
    .registers 3

    .line 1
    :try_start_0
    div-int v0, p0, p0
    :try_end_0
    .catch Ljava/lang/ArithmeticException; {:try_start_0 .. :try_end_0} :catch_0
    .catchall {:try_start_0 .. :try_end_0} :catchall_0

    .line 2
    :try_start_1
    rem-int v0, p0, p0
    :try_end_1
    .catch Ljava/lang/ArithmeticException; {:try_start_1 .. :try_end_1} :catch_0
    .catchall {:try_start_1 .. :try_end_1} :catchall_0

    :goto_0
    return v0

    .line 3
    :catch_0
    move-exception v0

    const/4 v0, 0x3

    goto :goto_0

    :catchall_0
    move-exception v0

    throw v0
.end method
