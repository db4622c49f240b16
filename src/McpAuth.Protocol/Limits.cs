namespace McpAuth.Protocol;

/// <summary>The declared numbers that server and guard must agree on.</summary>
public static class Limits
{
    public static readonly TimeSpan AccessToken = TimeSpan.FromMinutes(5), ClockSkew = TimeSpan.FromSeconds(30),
        ClientAssertion = TimeSpan.FromMinutes(5), IdJag = TimeSpan.FromMinutes(5), DpopAge = TimeSpan.FromSeconds(60), Instance = TimeSpan.FromHours(1),
        TaskDefault = TimeSpan.FromHours(1), TaskMaximum = TimeSpan.FromHours(24),
        GuardStale = TimeSpan.FromSeconds(2), RevocationBound = TimeSpan.FromSeconds(1), LongPoll = TimeSpan.FromSeconds(1);

    /// <summary>How long anybody may keep what <c>/jwks</c> said before asking again; and how long a guard that cannot ask goes on with it.</summary>
    public static readonly TimeSpan KeySetAge = TimeSpan.FromMinutes(5), KeySetLimit = TimeSpan.FromHours(1);

    /// <summary>How far ahead what a platform says of a program may expire; and how far an issuer's record may let it (managed identities of Azure: a day).</summary>
    public static readonly TimeSpan Evidence = TimeSpan.FromHours(1), LongestEvidence = TimeSpan.FromHours(24);

    /// <summary>How long a call may wait for a person's yes and then for its retry, both together.</summary>
    public static readonly TimeSpan Approval = TimeSpan.FromMinutes(10);

    /// <summary>How many calls of one task wait for a person at once; and what of arguments a person can be shown, in bytes.</summary>
    public const int ApprovalsWaiting = 5, ApprovalArguments = 64 * 1024;

    public const int DelegationDepth = 4, TokenBody = 64 * 1024, GuardBody = 4 * 1024 * 1024, JsonDepth = 64, JwtLength = 16 * 1024, Certificate = 8 * 1024;

    /// <summary>The last millisecond since the epoch that is a date, in the year 9999.</summary>
    public const long LatestTime = 253_402_300_799_999;
}
