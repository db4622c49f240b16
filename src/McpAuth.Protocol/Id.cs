namespace McpAuth.Protocol;

/// <summary>Identifiers: a prefix that tells the kind, then a UUIDv7, so that keys are ordered by time and kinds never collide.</summary>
public static class Id
{
    public const string User = "usr_", Agent = "agt_", Instance = "ins_", Task = "tsk_", Grant = "grt_", AccessToken = "at_",
        InstanceToken = "it_", Guard = "grd_", Stream = "str_", Set = "set_", Event = "evt_", Decision = "dec_", ToolServer = "srv_",
        Consent = "cns_", Session = "ses_", DelegationToken = "dt_", UserInfoToken = "ui_", RefreshFamily = "rff_", DynamicClient = "dyn_", WorkloadIssuer = "wli_";

    /// <summary>Before a signing key's <c>kid</c> where it stands among other subjects.</summary>
    public const string SigningKey = "key_";

    /// <summary>Before a tool server's resource where it stands among other subjects: all that was issued for it. No identifier has such a character.</summary>
    public const string Audience = "aud=";

    /// <summary>All that was ever issued, where it stands among other subjects.</summary>
    public const string Everything = "*";

    /// <summary>A new identifier, e.g. <c>tsk_0198c3…</c>: the prefix and 32 lower-case hexadecimal digits.</summary>
    public static string New(string prefix, DateTimeOffset now) => prefix + Guid.CreateVersion7(now).ToString("N");
}
