using System.Buffers.Binary;

namespace McpAuth.Protocol;

/// <summary>Identifiers: a prefix that tells the kind, then a UUIDv7, so that keys are ordered by time and kinds never collide.</summary>
public static class Id
{
    public const string User = "usr_", Agent = "agt_", Instance = "ins_", Task = "tsk_", Grant = "grt_", AccessToken = "at_",
        InstanceToken = "it_", Guard = "grd_", Stream = "str_", Set = "set_", Event = "evt_", Decision = "dec_", ToolServer = "srv_",
        Consent = "cns_", Session = "ses_", DelegationToken = "dt_", UserInfoToken = "ui_", RefreshFamily = "rff_", BudgetLease = "bls_", DynamicClient = "dyn_", WorkloadIssuer = "wli_", IdentityProvider = "idp_", Approval = "apr_";

    /// <summary>Before a signing key's <c>kid</c> where it stands among other subjects.</summary>
    public const string SigningKey = "key_";

    /// <summary>Before a tool server's resource where it stands among other subjects: all that was issued for it. No identifier has such a character.</summary>
    public const string Audience = "aud=";

    /// <summary>All that was ever issued, where it stands among other subjects.</summary>
    public const string Everything = "*";

    /// <summary>A new identifier, e.g. <c>tsk_0198c3…</c>: the prefix and 32 lower-case hexadecimal digits.</summary>
    public static string New(string prefix, DateTimeOffset now)
    {
        // RFC 9562 §5.7: 48 bits of Unix milliseconds, the version, the variant, and 74 random bits.
        Span<byte> id = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(id, now.ToUnixTimeMilliseconds() << 16);
        RandomBytes.Fill(id[6..]);
        id[6] = (byte)(id[6] & 0x0F | 0x70);
        id[8] = (byte)(id[8] & 0x3F | 0x80);
        Span<char> digits = stackalloc char[32];
        Convert.TryToHexStringLower(id, digits, out _);
        return string.Concat(prefix, digits);
    }
}
