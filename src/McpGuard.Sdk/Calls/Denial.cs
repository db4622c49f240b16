using McpAuth.Protocol;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Calls;

/// <summary>Why a call does not run: a code for machines, text for the model, a reason for the audit alone.</summary>
/// <param name="Code">One of <see cref="Names.Denials"/>, or <see cref="InsufficientScope"/>.</param>
/// <param name="Reason">More exact than the code where that is good for the auditor; never shown.</param>
/// <param name="Scopes">What would cure it (403); null when no scope can.</param>
/// <param name="RetryAfter">Seconds, where waiting cures it.</param>
/// <param name="Page">Where the user on whose authority the call is can cure it, when they can.</param>
internal sealed record Denial(
    string Code, string Text, string? Reason = null, IReadOnlyList<string>? Scopes = null, string? Remedy = null, int? RetryAfter = null, ApprovalPage? Page = null)
{
    public const string InsufficientScope = Names.Errors.InsufficientScope;

    public static Denial NotInTask(string reason) => new(Names.Denials.NotInTask, "This is not part of what the task allows.", reason);

    public static Denial Argument(Fault fault) =>
        new(Names.Denials.ArgumentDenied, fault.Path is null or "$" ? $"Argument denied: {fault.Message}" : $"Argument denied at {fault.Path}: {fault.Message}", fault.Code);

    public static Denial Drifted(string reason) => new(Names.Denials.ToolDrifted, "The tool has changed since it was approved; an administrator must approve it again.", reason, Remedy: "tool_approval");

    public static Denial Policy(string reason) => new(Names.Denials.PolicyDenied, "Policy does not allow this call.", reason);

    /// <summary>Before anybody was asked.</summary>
    public static Denial Approval { get; } = new(Names.Denials.ApprovalRequired, "A person must approve this call first.", Remedy: "approval");

    /// <summary>A person is asked; another than the caller's own learns of it elsewhere, and the address is not for the caller.</summary>
    public static Denial Waiting(ApprovalPage? page) => Approval with
    {
        Text = page is null
            ? "A person must approve this call first. Somebody else than the user decides, and is asked elsewhere. Make the same call again when they have."
            : $"A person must approve this call first, at {page.Url} . Give the user this address, and make the same call again when they have answered.",
        Page = page,
    };

    /// <summary>Nobody is asked.</summary>
    public static Denial NotAsked(string? reason) => reason switch
    {
        Names.Reasons.DeniedLately => Approval with { Text = "A person was asked about this call and refused it. Do not make it again.", Reason = reason, Remedy = null },
        Names.Reasons.TooManyWaiting => Approval with { Text = "Too many calls wait for a person already. Make this call again when they are answered.", Reason = reason },
        Names.Reasons.TooLarge => Approval with { Text = "A person must approve this call, and it is too large to be shown to one.", Reason = reason, Remedy = null },
        _ => Approval with { Text = "A person must approve this call, and nobody can be asked.", Reason = reason ?? "not_asked", Remedy = null },
    };

    public static Denial Budget(string? reason) => new(Names.Denials.BudgetSpent, "The task's number of calls of this tool is used up.", reason);

    public static Denial TooOften(RateExceeded exceeded) =>
        new(Names.Denials.RateLimited, $"Too many calls just now. Try again in {exceeded.RetryAfter} s.", exceeded.Reason, Remedy: "retry", RetryAfter: exceeded.RetryAfter);

    public static Denial Unavailable(string reason) => new(Names.Denials.GuardUnavailable, "The call cannot be decided right now. Try again shortly.", reason, Remedy: "retry");

    /// <summary>
    /// A scope is asked for only where it cures the denial. The challenge repeats what the token holds, because some clients ask for
    /// exactly what a challenge names and would lose the rest.
    /// </summary>
    public static Denial Missing(ValidatedToken token, string scope) => !token.StepUp
        ? NotInTask("scope_not_granted")
        : new(InsufficientScope, "A further scope is needed.",
            Scopes: [scope, .. token.Scopes.Where(s => s != scope && s != Names.Scopes.OfflineAccess).Order(StringComparer.Ordinal)]);
}

/// <summary>Where a person approves one call: in a session of their own, never in the caller's.</summary>
internal sealed record ApprovalPage(string Id, string Url);
