using System.Globalization;
using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Http;

/// <summary>A refusal where no OAuth error is spoken (RFC 9457): the status, the code, a text that is safe to show.</summary>
/// <param name="Code">Stable; the problem's type ends with it.</param>
/// <param name="Detail">One sentence about this occurrence.</param>
internal sealed record Problem(int Status, string Code, string Detail) : IResult
{
    public const string NotFoundCode = "not_found", FaultsCode = "faults", ConflictCode = "conflict";

    private const string MediaType = "application/problem+json", Types = "urn:mcpauth:problem:";

    /// <summary>RFC 9457 §3.1.3: of the type, the same at every occurrence.</summary>
    private static readonly Dictionary<string, string> Titles = new(StringComparer.Ordinal)
    {
        [Names.Errors.InvalidRequest] = "The request cannot be understood.",
        [Names.Errors.InvalidToken] = "The access token is missing or is not good here.",
        [Names.Errors.InsufficientScope] = "The access token does not allow this.",
        [Names.Errors.InvalidDpopProof] = "The proof of possession is missing or wrong.",
        [Names.Dpop.UseNonce] = "The proof of possession lacks the server's nonce.",
        [Names.Errors.SlowDown] = "There were too many requests.",
        [NotFoundCode] = "There is nothing of that id.",
        [FaultsCode] = "What was sent has faults; nothing of it was applied.",
        [ConflictCode] = "The present state does not allow this.",
    };

    /// <summary>Why, in one word, where an OAuth error has more to say than its code.</summary>
    public string? Reason { get; init; }

    /// <summary>Of a document, all of them, each with its path.</summary>
    public IReadOnlyList<Fault> Faults { get; init; } = [];

    /// <summary>The challenge of a 401 or 403.</summary>
    public string? Challenge { get; init; }

    public int? RetryAfter { get; init; }

    public static Problem Invalid(string detail) => new(StatusCodes.Status400BadRequest, Names.Errors.InvalidRequest, detail);

    public static Problem NotFound(string detail) => new(StatusCodes.Status404NotFound, NotFoundCode, detail);

    /// <summary>A refusal that another part of the server made.</summary>
    public static Problem Of(OAuthError error) =>
        new(error.Status, error.Code, error.Description) { Reason = error.Reason, Challenge = error.Challenge, RetryAfter = error.RetryAfter };

    public async Task ExecuteAsync(HttpContext context)
    {
        var response = context.Response;
        response.StatusCode = Status;
        if (Challenge is not null)
            response.Headers.WWWAuthenticate = Challenge;
        if (RetryAfter is { } seconds)
            response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        var body = new JsonObject
        {
            ["type"] = Types + Code, ["title"] = Titles.GetValueOrDefault(Code, "The request was refused."), ["status"] = Status, ["detail"] = Detail, ["code"] = Code,
        };
        if (Reason is not null)
            body["reason"] = Reason;
        if (Faults.Count > 0)
            body["faults"] = new JsonArray([.. Faults.Select(f => new JsonObject { ["code"] = f.Code, ["path"] = f.Path ?? "$", ["message"] = f.Message })]);
        await response.WriteAsJsonAsync(body, ProtocolJson.Default.JsonObject, MediaType);
    }
}
