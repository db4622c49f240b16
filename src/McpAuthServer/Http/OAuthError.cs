using System.Globalization;
using McpAuth.Protocol;
using McpAuth.Protocol.Messages;

namespace McpAuthServer.Http;

/// <summary>
/// A refusal on its way to the wire (RFC 6749 §5.2): the code, a text that is safe to show, and what only the audit event gets.
/// </summary>
/// <param name="Code">From <see cref="Names.Errors"/>.</param>
/// <param name="Description">One sentence for the client's developer.</param>
/// <param name="Status">400 unless the standard says otherwise.</param>
/// <param name="Reason">From <see cref="Names.Reasons"/>: told beside the error where an agent can act on it, and recorded.</param>
internal sealed record OAuthError(string Code, string Description, int Status = StatusCodes.Status400BadRequest, string? Reason = null) : IResult
{
    /// <summary>The challenge of a 401 (RFC 6749 §5.2, RFC 9449 §7.1), if any.</summary>
    public string? Challenge { get; init; }

    /// <summary>When to come again, in seconds (RFC 9110 §10.2.3); 503 always says it.</summary>
    public int? RetryAfter { get; init; } = Status == StatusCodes.Status503ServiceUnavailable ? 1 : null;

    /// <summary>What a 405 says is taken instead (RFC 9110 §15.5.6).</summary>
    public string Allow { get; init; } = HttpMethods.Post;

    public static OAuthError InvalidRequest(string description, string? reason = null) => new(Names.Errors.InvalidRequest, description, Reason: reason);

    /// <summary>A code or refresh token that cannot be used (RFC 6749 §5.2).</summary>
    public static OAuthError InvalidGrant(string description, string? reason = null) => new(Names.Errors.InvalidGrant, description, Reason: reason);

    /// <summary>401, with a challenge when the client used the Authorization header (RFC 6749 §5.2).</summary>
    public static OAuthError InvalidClient(string description, bool usedBasic = false, string? reason = null) =>
        new(Names.Errors.InvalidClient, description, StatusCodes.Status401Unauthorized, reason) { Challenge = usedBasic ? "Basic realm=\"token\"" : null };

    /// <summary>RFC 9449 §5; a proof that wants nothing but the server's nonce has a code of its own (§8).</summary>
    public static OAuthError InvalidProof(Fault fault) =>
        new(ProofCode(fault), fault.Message, Reason: fault.Code);

    /// <summary>
    /// Whether the client is to say the same again, with a nonce. Nothing of the request is used up then: some sign their assertion once, and
    /// only their proof for every attempt.
    /// </summary>
    public bool AsksForNonce => Code == Names.Dpop.UseNonce;

    public static string ProofCode(Fault fault) => fault.Code == Names.Claims.Nonce ? Names.Dpop.UseNonce : Names.Errors.InvalidDpopProof;

    /// <summary>A fault whose code is an OAuth error code, with its path.</summary>
    public static OAuthError From(Fault fault) => new(fault.Code, fault.Path is null ? fault.Message : $"{fault.Message} ({fault.Path})");

    /// <summary>Something single-use was presented again; <paramref name="space"/> says what (<see cref="Storage.Once"/>).</summary>
    public static OAuthError Replay(string space) => space switch
    {
        Storage.Once.AssertionSpace => InvalidClient("The client assertion was used before.", reason: Names.Reasons.Replay),
        Storage.Once.IdJagSpace => InvalidGrant("The assertion was used before.", Names.Reasons.Replay),
        _ => InvalidProof(new Fault(Names.Reasons.Replay, "The DPoP proof was used before.")),
    };

    /// <summary>What a request with two Authorization headers is told: 400, wherever a token is taken (RFC 6750 §3.1).</summary>
    public const string TwoTokens = "There must be one Authorization header.";

    /// <summary>A proof presented again at an API that takes tokens (RFC 9449 §7.1).</summary>
    public static OAuthError UsedProof => Replay(Storage.Once.ProofSpace) with { Status = StatusCodes.Status401Unauthorized, Challenge = "DPoP error=\"invalid_dpop_proof\"" };

    /// <summary>
    /// Too often (RFC 6585 §4). The one registered code that means it is of the device grant, whose clients go on polling upon it and would give up
    /// upon any other (RFC 8628 §3.5); the others read the status.
    /// </summary>
    public static OAuthError TooMany(TimeSpan wait) =>
        new(Names.Errors.SlowDown, "Too many requests; wait before the next.", StatusCodes.Status429TooManyRequests) { RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)) };

    /// <summary>The endpoint takes POST only (RFC 9110 §15.5.6).</summary>
    public static OAuthError NotPost => new(Names.Errors.InvalidRequest, "The method must be POST.", StatusCodes.Status405MethodNotAllowed, "method_not_allowed");

    public async Task ExecuteAsync(HttpContext context)
    {
        context.Response.StatusCode = Status;
        if (Status == StatusCodes.Status405MethodNotAllowed)
            context.Response.Headers.Allow = Allow;
        if (Challenge is not null)
            context.Response.Headers.WWWAuthenticate = Challenge;
        if (RetryAfter is { } seconds)
            context.Response.Headers.RetryAfter = seconds.ToString(CultureInfo.InvariantCulture);
        await context.Response.WriteAsJsonAsync(new ErrorResponse(Code, ErrorDescription.Shown(Description), Reason), ProtocolJson.Default.ErrorResponse);
    }
}
