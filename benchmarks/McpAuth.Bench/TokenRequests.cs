using McpAuth.Protocol;
using McpAuth.Protocol.Jose;
using McpAuth.Testing;

namespace McpAuth.Bench;

/// <summary>Prepares requests as <c>requests.lua</c> reads them; what is single-use is fresh in each.</summary>
internal sealed class TokenRequests(string issuer, TimeProvider time)
{
    private const string ContentType = "Content-Type=application/x-www-form-urlencoded";

    public static IEnumerable<string> Secret(int count, string client, string secret, string resource) =>
        Enumerable.Repeat(Line(null, new() { ["grant_type"] = "client_credentials", ["client_id"] = client, ["client_secret"] = secret, ["resource"] = resource }), count);

    public IEnumerable<string> Assertion(int count, string client, SigningKey key, string resource) =>
        Prepare(count, i => Line(null, WithAssertion(client, key, new() { ["grant_type"] = "client_credentials", ["resource"] = resource })));

    public IEnumerable<string> Exchange(int count, string client, SigningKey clientKey, SigningKey key, string instanceToken, string resource, string details)
    {
        var endpoint = new Uri(issuer + Names.Paths.Token);
        return Prepare(count, i => Line(DpopProof.Create(key, "POST", endpoint, null, time.GetUtcNow()), WithAssertion(client, clientKey, new()
        {
            ["grant_type"] = Names.Exchange.GrantType, ["subject_token"] = instanceToken, ["subject_token_type"] = Names.Exchange.AccessTokenType,
            ["resource"] = resource, ["authorization_details"] = details,
        })));
    }

    private static string[] Prepare(int count, Func<int, string> make)
    {
        var lines = new string[count];
        Parallel.For(0, count, i => lines[i] = make(i));
        return lines;
    }

    private Dictionary<string, string> WithAssertion(string client, SigningKey key, Dictionary<string, string> form)
    {
        form[Names.ClientAssertion.TypeParameter] = Names.ClientAssertion.JwtBearer;
        form[Names.ClientAssertion.Parameter] = ClientAssertion.Sign(key, client, issuer, TimeSpan.FromMinutes(4));
        return form;
    }

    private static string Line(string? proof, Dictionary<string, string> form) =>
        (proof is null ? ContentType : $"{ContentType}\tDPoP={proof}") + "\tbody=" + string.Join('&', form.Select(f => $"{f.Key}={Uri.EscapeDataString(f.Value)}"));
}
