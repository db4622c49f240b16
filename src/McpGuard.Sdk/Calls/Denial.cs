using McpAuth.Protocol;
using McpGuard.Sdk.Tokens;

namespace McpGuard.Sdk.Calls;

/// <summary>Why a call does not run: a code for machines, text for the model, a reason for the audit alone.</summary>
/// <param name="Code">One of <see cref="Names.Denials"/>, or <see cref="InsufficientScope"/>.</param>
/// <param name="Reason">More exact than the code where that is good for the auditor; never shown.</param>
/// <param name="Scopes">What would cure it (403); null when no scope can.</param>
internal sealed record Denial(string Code, string Text, string? Reason = null, IReadOnlyList<string>? Scopes = null, string? Remedy = null)
{
    public const string InsufficientScope = Names.Errors.InsufficientScope;

    public static Denial NotInTask(string reason) => new(Names.Denials.NotInTask, "This is not part of what the task allows.", reason);

    public static Denial Argument(Fault fault) =>
        new(Names.Denials.ArgumentDenied, fault.Path is null or "$" ? $"Argument denied: {fault.Message}" : $"Argument denied at {fault.Path}: {fault.Message}", fault.Code);

    public static Denial Drifted(string reason) => new(Names.Denials.ToolDrifted, "The tool has changed since it was approved; an administrator must approve it again.", reason, Remedy: "tool_approval");

    public static Denial Policy(string reason) => new(Names.Denials.PolicyDenied, "Policy does not allow this call.", reason);

    public static Denial Approval { get; } = new(Names.Denials.ApprovalRequired, "A person must approve this call first.", Remedy: "approval");

    public static Denial Budget(string? reason) => new(Names.Denials.BudgetSpent, "The task's number of calls of this tool is used up.", reason);

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
