using System.Buffers;
using McpAuth.Protocol;
using Microsoft.AspNetCore.Http;

namespace McpGuard.Sdk.Http;

/// <summary>The access token of a request: in the header and nowhere else (RFC 6750 §2.1; OAuth 2.1 forbids the query).</summary>
internal readonly record struct PresentedToken(ReadOnlyMemory<char> Value, bool Dpop)
{
    public const string Missing = "token_missing", Twice = "token_twice", InQuery = "token_in_query", Malformed = "token_malformed";

    public static Result<PresentedToken> Read(HttpRequest request)
    {
        if (request.QueryString.HasValue && request.Query.Keys.Any(k => k.Equals(Names.OAuth.AccessToken, StringComparison.OrdinalIgnoreCase)))
            return new Fault(InQuery, "A token does not belong in the address.");
        if (request.Headers.Authorization.Count == 0) return new Fault(Missing, "No token.");
        if (request.Headers.Authorization is not [{ } value]) return new Fault(Twice, "Two Authorization headers.");
        int space = value.IndexOf(' ');
        ReadOnlySpan<char> scheme = space < 0 ? value : value.AsSpan(0, space);
        ReadOnlyMemory<char> token = space < 0 ? default : value.AsMemory(space + 1).TrimStart(' ');
        bool dpop = scheme.Equals(Names.Dpop.Scheme, StringComparison.OrdinalIgnoreCase);
        if (!dpop && !scheme.Equals(Names.OAuth.Bearer, StringComparison.OrdinalIgnoreCase)) return new Fault(Missing, "Another scheme.");
        // RFC 6750 §2.1: b64token. Two joined headers have a comma and fail here.
        return token.Length is > 0 and <= Limits.JwtLength && token.Span.IndexOfAnyExcept(Characters) < 0 ? new PresentedToken(token, dpop) : new Fault(Malformed, "Not a token.");
    }

    /// <summary>What stands behind the guard gets no token: it could only be passed on.</summary>
    public static void Remove(HttpRequest request)
    {
        request.Headers.Authorization = default;
        request.Headers.Remove(Names.Dpop.Header);
    }

    // Records print their members, and this one is a secret.
    public override string ToString() => Dpop ? Names.Dpop.Scheme : Names.OAuth.Bearer;

    private static readonly SearchValues<char> Characters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=");
}
