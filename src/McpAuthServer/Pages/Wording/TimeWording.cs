using System.Globalization;

namespace McpAuthServer.Pages.Wording;

/// <summary>Times for people. There is no script that could know their zone, so they are UTC and say so.</summary>
internal static class TimeWording
{
    /// <summary><c>22 Nov 2026, 13:00 UTC</c></summary>
    public static string At(DateTimeOffset time) => time.UtcDateTime.ToString("d MMM yyyy, HH:mm", CultureInfo.InvariantCulture) + " UTC";

    /// <summary>For <c>datetime</c> attributes.</summary>
    public static string Machine(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary><c>in 1 hour 30 minutes</c>: two units at most, rounded to whole minutes.</summary>
    public static string In(TimeSpan left)
    {
        var minutes = (long)Math.Round(left.TotalMinutes, MidpointRounding.AwayFromZero);
        if (minutes < 1)
            return left > TimeSpan.Zero ? "in less than a minute" : "now";
        var (days, hours) = (minutes / 1440, minutes / 60 % 24);
        string[] units = days > 0 ? [Count(days, "day"), Count(hours, "hour")] : [Count(hours, "hour"), Count(minutes % 60, "minute")];
        return "in " + string.Join(' ', units.Where(unit => unit.Length > 0));
    }

    private static string Count(long count, string unit) => count switch { 0 => "", 1 => $"1 {unit}", _ => $"{count} {unit}s" };
}
