using Xunit;
using Xunit.Abstractions;
using Xunit.Sdk;

namespace McpAuth.Testing;

/// <summary>
/// A fact of an abstract suite that runs once per derived class. In a class marked <see cref="NeedsPostgresAttribute"/> it is skipped
/// where PostgreSQL is not installed (failed, under CI); in the others it always runs.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
[XunitTestCaseDiscoverer("McpAuth.Testing.SuiteFactDiscoverer", "McpAuth.Testing")]
public sealed class SuiteFactAttribute : FactAttribute;

/// <summary>Marks the class of a suite that needs PostgreSQL.</summary>
[AttributeUsage(AttributeTargets.Class)]
public sealed class NeedsPostgresAttribute : Attribute;

/// <summary>Found by its name, by xunit.</summary>
public sealed class SuiteFactDiscoverer(IMessageSink diagnostics) : FactDiscoverer(diagnostics)
{
    protected override IXunitTestCase CreateTestCase(
        ITestFrameworkDiscoveryOptions discoveryOptions, ITestMethod testMethod, IAttributeInfo factAttribute) =>
        new SuiteTestCase(
            DiagnosticMessageSink, discoveryOptions.MethodDisplayOrDefault(), discoveryOptions.MethodDisplayOptionsOrDefault(), testMethod);
}

/// <summary>Public because xunit makes it again by its name.</summary>
public sealed class SuiteTestCase : XunitTestCase
{
    [Obsolete("Called when a test case crosses a process boundary.", error: true)]
    public SuiteTestCase()
    {
    }

    public SuiteTestCase(IMessageSink diagnostics, TestMethodDisplay display, TestMethodDisplayOptions options, ITestMethod method)
        : base(diagnostics, display, options, method)
    {
    }

    protected override string? GetSkipReason(IAttributeInfo factAttribute) =>
        TestMethod.TestClass.Class.GetCustomAttributes(typeof(NeedsPostgresAttribute)).Any()
            ? PostgresBinaries.Requirement.Skip
            : base.GetSkipReason(factAttribute);
}
