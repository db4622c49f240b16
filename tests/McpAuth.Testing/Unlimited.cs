namespace McpAuth.Testing;

/// <summary>Configuration of a server whose rate limits no test reaches by chance: all of them come from one address, often within one minute.</summary>
public static class Unlimited
{
    private const string Enough = "1000000";

    private static readonly string[] Limits =
    [
        "Authorization:Address", "SignIn:Address", "SignIn:Account", "Token:Address", "Token:Client", "PushedAuthorization:Address", "PushedAuthorization:Client",
        "Registration:Address", "DeviceAuthorization:Address", "DeviceAuthorization:Client", "BackchannelAuthentication:Address", "BackchannelAuthentication:Client",
        "UserCode:Address",
        "Introspection:Address", "Introspection:Client", "Revocation:Address", "Revocation:Client", "UserInfo:Address", "Api:Address", "Api:Client", "FailedAuthentication:Address",
    ];

    public static IEnumerable<KeyValuePair<string, string>> Settings =>
        Limits.SelectMany(limit => new[] { "PerMinute", "Burst" }, (limit, part) => KeyValuePair.Create($"McpAuth:RateLimits:{limit}:{part}", Enough));

    /// <summary>The same as environment variables.</summary>
    public static IEnumerable<KeyValuePair<string, string?>> Environment =>
        Settings.Select(s => KeyValuePair.Create(s.Key.Replace(":", "__", StringComparison.Ordinal), (string?)s.Value));
}
