using System.Text.Json.Serialization;

namespace McpAuth.Protocol.Messages;

/// <summary>
/// <c>POST /guard/approvals</c>: a call that needs a person's yes. The server fills in from <paramref name="Jti"/> whose it is; sent again for the same decision, it gets the
/// same answer.
/// </summary>
/// <param name="Decision">The id of the decision that waits for it.</param>
/// <param name="DefDigest">Of the tool's definition, as it is called.</param>
/// <param name="ArgsDigest">Of the arguments; the server makes it again from <paramref name="Arguments"/>.</param>
/// <param name="Arguments">Their RFC 8785 form, encrypted for the decision (<see cref="Audit.SealedRequest.ForApproval"/>).</param>
/// <param name="PolicyHash">Of the policies that decided.</param>
public sealed record ApprovalRequest(
    [property: JsonPropertyName("decision")] string Decision,
    [property: JsonPropertyName("jti")] string Jti,
    [property: JsonPropertyName("tool")] string Tool,
    [property: JsonPropertyName("def_digest")] string DefDigest,
    [property: JsonPropertyName("args_digest")] string ArgsDigest,
    [property: JsonPropertyName("arguments")] string Arguments,
    [property: JsonPropertyName("policy_hash")] string PolicyHash);

/// <param name="State">One of <see cref="ApprovalStates"/>.</param>
/// <param name="Url">Where the person answers, and <paramref name="ExpiresIn"/> for how many seconds; of one that waits.</param>
/// <param name="Own">Of one that waits: whether the user on whose authority the call is may answer.</param>
/// <param name="By">Of one that was used: the user who said yes, and <paramref name="At"/> when, in epoch milliseconds.</param>
/// <param name="Reason">Why nobody is asked, in a word.</param>
public sealed record ApprovalResponse(
    [property: JsonPropertyName("state")] string State,
    [property: JsonPropertyName("id")] string? Id = null,
    [property: JsonPropertyName("url")] string? Url = null,
    [property: JsonPropertyName("expires_in")] long? ExpiresIn = null,
    [property: JsonPropertyName("own")] bool Own = false,
    [property: JsonPropertyName("by")] string? By = null,
    [property: JsonPropertyName("at")] long? At = null,
    [property: JsonPropertyName("reason")] string? Reason = null);

/// <summary>What becomes of a guard's question.</summary>
public static class ApprovalStates
{
    /// <summary>A person had said yes to exactly this call; for this decision, and no other, it is used up now.</summary>
    public const string Used = "used";

    /// <summary>A person is asked.</summary>
    public const string Waiting = "waiting";

    /// <summary>Nobody is asked.</summary>
    public const string Refused = "refused";
}
