namespace McpAuthServer.CallApprovals;

/// <summary>How people learn of calls that wait for them (section <c>McpAuth:Approvals</c>); their account page always says so.</summary>
public sealed class ApprovalOptions
{
    internal const int LeastSecret = 32;

    /// <summary>Programs that are told, each of every call that waits, and that tell people: by chat, by mail, by telephone.</summary>
    public IList<ApprovalWebhook> Webhooks { get; } = [];

    internal IEnumerable<string> Faults()
    {
        for (var i = 0; i < Webhooks.Count; i++)
        {
            var webhook = Webhooks[i];
            if (webhook.Name.Length is 0 or > 64 || Webhooks.Count(w => w.Name == webhook.Name) > 1)
                yield return $"McpAuth:Approvals:Webhooks:{i}:Name must be 1 to 64 characters, and no other's";
            if (!Uri.TryCreate(webhook.Url, UriKind.Absolute, out var url) || url.Scheme != Uri.UriSchemeHttps || url.UserInfo.Length > 0)
                yield return $"McpAuth:Approvals:Webhooks:{i}:Url must be https, without user information";
            if (webhook.Key() is not { Length: >= LeastSecret })
                yield return $"McpAuth:Approvals:Webhooks:{i}:Secret must be base64 of at least {LeastSecret} bytes";
        }
    }
}

/// <summary>One program that is told.</summary>
public sealed class ApprovalWebhook
{
    /// <summary>For operators; what waits for it is kept under this name.</summary>
    public string Name { get; set; } = "";

    /// <summary>Where it is posted: https, at a public address.</summary>
    public string Url { get; set; } = "";

    /// <summary>What signs, by HMAC-SHA256: base64 of at least 32 bytes.</summary>
    public string Secret { get; set; } = "";

    /// <summary>Null when the secret is none.</summary>
    internal byte[]? Key()
    {
        try
        {
            return Convert.FromBase64String(Secret);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
