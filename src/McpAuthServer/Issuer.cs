using McpAuth.Protocol;

namespace McpAuthServer;

/// <summary>The server's identity and the addresses built from it; they come from configuration, never from a request.</summary>
internal sealed class Issuer
{
    private readonly string? mtls;

    /// <param name="mtls">What stands in place of the issuer where clients come with certificates, if that is elsewhere.</param>
    public Issuer(string value, string? mtls = null)
    {
        (Value, this.mtls) = (value, mtls);
        BasePath = new Uri(value).AbsolutePath.TrimEnd('/');
        TokenEndpoint = value + Names.Paths.Token;
        LegacyAudiences = [TokenEndpoint, value + Names.Paths.PushedRequests];
        GuardAudience = value + Names.Paths.GuardAudience;
        AdminAudience = value + Names.Paths.AdminAudience;
        UserInfo = value + Names.Paths.UserInfo;
    }

    /// <summary>Byte-equal to the configuration.</summary>
    public string Value { get; }

    /// <summary>The issuer's path without a trailing slash; empty when it has none.</summary>
    public string BasePath { get; }

    /// <summary>The audience of instance tokens.</summary>
    public string TokenEndpoint { get; }

    /// <summary>What clients' assertions may name in place of the issuer (RFC 9126 §2), where their record allows it.</summary>
    public IReadOnlyList<string> LegacyAudiences { get; }

    /// <summary>The audience of a guard's own token.</summary>
    public string GuardAudience { get; }

    /// <summary>The audience of a token that administers.</summary>
    public string AdminAudience { get; }

    /// <summary>The audience of a token that only tells who a person is.</summary>
    public string UserInfo { get; }

    /// <summary>Audiences of the server's own: no tool server may have one of them (invariant 1).</summary>
    public IReadOnlyList<string> OwnAudiences => [TokenEndpoint, GuardAudience, AdminAudience, UserInfo];

    public Uri Uri(string path) => new(Value + path);

    /// <summary>The same endpoint's address for clients with certificates (RFC 8705 §5); null where there is no other.</summary>
    public Uri? Alias(string path) => mtls is null ? null : new(mtls + path);
}
