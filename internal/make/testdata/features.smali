# Everything a class can hold but the plain instructions; methods carry .line, so that debug information
# can be compared too.
.class public abstract Lt/Features;
.super Lt/Base;
.implements Ljava/lang/Runnable;
.implements Ljava/io/Serializable;
.source "Features.java"

.annotation system Ldalvik/annotation/MemberClasses;
    value = {
        Lt/Features$Inner;
    }
.end annotation

.annotation runtime Lt/All;
    b = 0x12t
    s = -0x8000s
    c = '\u20ac'
    i = 0x7fffffff
    j = -0x8000000000000000L
    f = 1.5f
    d = 1.0E-300
    z = true
    str = "tab\t quote\" back\\ nul\u0000 euro\u20ac pair\ud834\udd1e lone\ud834"
    none = null
    type = [I
    field = Lt/Features;->list:Ljava/util/List;
    method = Lt/Features;->run()V
    en = .enum Lt/E;->A:Lt/E;
    sub = .subannotation Lt/Sub;
        x = {
            0x1,
            0x2
        }
        y = {}
    .end subannotation
.end annotation

# static fields
.field public static final A:I = 0x7f010001

.field static final B:B = -0x1t

.field static final C:C = 'a'

.field static final D:D = -Infinity

.field static final D2:D = NaN

.field static final F:F = 3.4028235E38f

.field static final F2:F = NaNf

.field static final J:J = 0xffL

.field static final N:Ljava/lang/Object;

.field static final S:S = 0x100s

.field static final T:Ljava/lang/String; = "text # no comment"

.field static final Z:Z = true

.field static final Zero:I

# instance fields
.field protected volatile list:Ljava/util/List;
    .annotation system Ldalvik/annotation/Signature;
        value = {
            "Ljava/util/List<",
            "Ljava/lang/String;",
            ">;"
        }
    .end annotation
.end field

.field private transient y:[[J


# direct methods
.method static constructor <clinit>()V
    .registers 1

    .line 7
    const/4 v0, 0x0

    sput v0, Lt/Features;->Zero:I

    return-void
.end method

.method private constructor <init>(IJLjava/lang/String;)V
    .registers 8
    .param p1, "count"    # I
        .annotation runtime Lt/P;
            n = 1.0f
        .end annotation
    .end param
    .param p4, "name"    # Ljava/lang/String;
    .annotation system Ldalvik/annotation/Throws;
        value = {
            Ljava/io/IOException;
        }
    .end annotation

    .prologue
    .line 10
    invoke-direct {p0}, Lt/Base;-><init>()V

    .line 300
    .local v0, "a":I
    .local v1, "b":Ljava/util/List;, "Ljava/util/List<TT;>;"
    const/4 v0, 0x1

    .line 5
    .end local v0    # "a":I
    nop

    .restart local v0    # "a":I
    return-void
.end method

.method static nested(I)I
    .registers 3

    .line 1
    :outer
    div-int v0, p0, p0

    :inner
    rem-int v0, p0, p0
    :inner_end
    .catch Ljava/lang/ArithmeticException; {:inner .. :inner_end} :handler

    div-int v0, p0, p0
    :outer_end
    .catchall {:outer .. :outer_end} :handler

    return v0

    :handler
    move-exception v0

    throw v0
.end method

.method static switches(I)I
    .registers 3

    .line 1
    packed-switch p0, :pswitch_data_0

    sparse-switch p0, :sswitch_data_0

    const/4 v0, 0x2

    new-array v0, v0, [J

    fill-array-data v0, :array_0

    fill-array-data v0, :array_1

    fill-array-data v0, :array_2

    :pswitch_0
    const/4 v0, 0x0

    :goto_0
    return v0

    :sswitch_0
    const/4 v0, -0x1

    goto :goto_0

    :pswitch_data_0
    .packed-switch -0x1
        :pswitch_0
        :sswitch_0
    .end packed-switch

    :sswitch_data_0
    .sparse-switch
        -0x80000000 -> :sswitch_0
        0x1f4 -> :pswitch_0
    .end sparse-switch

    :array_0
    .array-data 8
        0x1
        -0x1
    .end array-data

    :array_1
    .array-data 1
        0x1t
        -0x1t
        0x7ft
    .end array-data

    :array_2
    .array-data 4
        0x1
    .end array-data
.end method


# virtual methods
.method public native declared-synchronized nat(Ljava/lang/Object;)[I
.end method

.method public bridge synthetic run()V
    .registers 3

    .line 1
    const-string v0, "q\"\'\n"

    const v1, 1.0f

    const-wide v0, 0x123456789abcdefL

    const-wide/high16 v0, 0x4024000000000000L    # 10.0

    const/high16 v0, 0x7f010000

    return-void
.end method

.method public abstract some(Ljava/util/Map;[Ljava/lang/String;)Z
    .annotation runtime Lt/P;
    .end annotation
.end method
